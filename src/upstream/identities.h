#pragma once
// Tokens of the cloud's directory for identities of this machine: asked for once for everybody, kept until they end, renewed before that. On the home loop.

#include "upstream/flights.h"
#include "upstream/kept_authorization.h"
#include "upstream/service_documents.h"
#include "upstream/services.h"

namespace entrepot {

class Identities {
  public:
    static constexpr std::size_t tokens_max = 1024;
    static constexpr int used_percent = 80;  ///< of its life; a token is renewed then, and serves on while that fails

    explicit Identities(Services& services) noexcept : services_(services) {}

    /// A token for `audience` ("https://vault.azure.net"); the header is the bare token.
    Task<AuthorizationAnswer> token(IdentityReference identity, std::string audience);

  private:
    Task<AuthorizationAnswer> ask(const IdentityReference& identity, const std::string& audience);
    Task<AuthorizationAnswer> ask_metadata(const IdentityReference& identity, const std::string& audience);
    Task<AuthorizationAnswer> ask_arc(const std::string& audience);
    Task<Result<SecretText, UpstreamFailure>> answer_challenge(const ServiceDocument& refused);
    Task<AuthorizationAnswer> ask_authority(const IdentityReference& identity, const std::string& audience);
    Task<Result<SecretText, UpstreamFailure>> assertion(const IdentityReference& identity, const std::string& authority);

    Services& services_;
    KeptAuthorizations<std::string> known_{tokens_max};
    Flights<AuthorizationAnswer> flights_;
};

/// Whether Azure Arc's agent may ask for what is in this file: a .key directly in its own directory, whatever a process on its port says.
bool is_challenge_path(std::string_view path, std::string_view directory) noexcept;

/// A grant as it is kept.
Authorization authorization_of(std::string_view scheme, const Grant& grant, Instant time);

}  // namespace entrepot
