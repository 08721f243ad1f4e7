#pragma once
// Secrets that other services keep: Azure Key Vault, and HashiCorp Vault's key-value engine (version 2). On the home loop.

#include "upstream/identities.h"

namespace entrepot {

class Vaults {
  public:
    Vaults(Services& services, Identities& identities) noexcept : services_(services), identities_(identities) {}

    /// What the reference points to now. Fault::policy: whether a registry would take it is another question.
    Task<Result<SecretText, UpstreamFailure>> read(SecretReference reference);

  private:
    Task<Result<SecretText, UpstreamFailure>> read_key_vault(const SecretReference& reference);
    Task<Result<SecretText, UpstreamFailure>> read_vault(const SecretReference& reference);
    bool may_be_the_logins_fault(const Authorization& login, const ServiceDocument& refusal) const;
    Task<AuthorizationAnswer> vault_login(std::string refused);
    Task<AuthorizationAnswer> ask_vault_login();
    Task<Result<SecretText, UpstreamFailure>> vault_proof();
    Task<Result<SecretText, UpstreamFailure>> read_here(SecretReference reference);
    DocumentRequest vault_request(const std::string& path) const;

    Services& services_;
    Identities& identities_;
    KeptAuthorization login_;  // the bare token of HashiCorp Vault
    Flights<AuthorizationAnswer> logging_in_;
};

}  // namespace entrepot
