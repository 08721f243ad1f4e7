#pragma once
// The Basic headers of credentials: user name and password, read where they are kept, once for everybody who asks meanwhile. On the home loop.

#include "upstream/vaults.h"

#include <map>

namespace entrepot {

class Passwords {
  public:
    static constexpr std::size_t passwords_max = 20'000;
    static constexpr Duration reread_interval_min =
        std::chrono::seconds(1);  ///< of a vault, however often what it gave is refused, or it gives nothing

    explicit Passwords(Vaults& vaults) noexcept : vaults_(vaults) {}

    /// Good for a secret_life. `refused` is one that was just refused: the secret is read again then, and refused for good when it is still the same.
    Task<AuthorizationAnswer> get(CredentialPointer credential, std::size_t login, std::string refused, Duration secret_life);
    /// Whoever asks next is told what is true now, not what a vault answered within the last second.
    void ask_anew(const Credential& credential, std::size_t login) { failed_.erase(key_of(credential, login)); }

  private:
    static std::string key_of(const Credential& credential, std::size_t login);
    /// What a vault answered in place of a secret, and when.
    struct Failed {
        Instant time;
        UpstreamFailure failure;
    };

    const Failed* recently_failed(const std::string& key, Instant time) const;
    void keep(const std::string& key, const AuthorizationAnswer& answer, const CredentialPointer& credential, bool of_vault);
    Task<AuthorizationAnswer> read(const CredentialPointer& credential, std::size_t login, Duration secret_life);

    Vaults& vaults_;
    KeptAuthorizations<std::string> known_{passwords_max};
    std::map<std::string, Failed> failed_;  // of vaults; at most passwords_max
    Flights<AuthorizationAnswer> flights_;
};

}  // namespace entrepot
