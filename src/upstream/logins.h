#pragma once
// What one shard knows about logging in: the secrets of credential sets for a short while, and for each repository the header
// that upstream took last, so that the next request need not wait for a challenge. What belongs to a credential that has ended
// goes at the next look.

#include "upstream/kept_authorization.h"
#include "upstream/table.h"

namespace entrepot {

class Logins {
  public:
    static constexpr std::size_t remembered_max = 16384;  ///< repositories; all are forgotten beyond
    static constexpr std::size_t secrets_max = 16384;     ///< credentials; likewise

    explicit Logins(const UpstreamTable::Options& options) noexcept : options_(options) {}

    /// What worked for this upstream, credential and repository, or none.
    Authorization find(const UpstreamRequest& request, Instant time);
    void remember(const UpstreamRequest& request, const Authorization& authorization);
    void forget(const UpstreamRequest& request);

    /// The Basic header of a credential. `refused` is one that was just refused: the secret is read again then, and refused for
    /// good when it is still the same.
    Task<AuthorizationAnswer> basic(CredentialPointer credential, std::string refused);

  private:
    const UpstreamTable::Options& options_;
    KeptAuthorizations<std::string> remembered_{remembered_max};
    KeptAuthorizations<std::uint64_t> secrets_{secrets_max};  // by credential
};

}  // namespace entrepot
