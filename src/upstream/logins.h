#pragma once
// What one shard knows about logging in: the Basic headers of credentials for a short while, and for each repository the header that upstream took last, so that
// the next request need not wait for a challenge. What belongs to a credential that has ended goes at the next look.

#include "upstream/kept_authorization.h"
#include "upstream/table.h"

namespace entrepot {

class Logins {
  public:
    static constexpr std::size_t remembered_max = 16384;  ///< repositories; all are forgotten beyond
    static constexpr std::size_t basics_max = 16384;      ///< logins of credentials; likewise

    /// What worked for this upstream, credential and repository, or none.
    Authorization find(const UpstreamRequest& request, Instant time);
    void remember(const UpstreamRequest& request, const Authorization& authorization);
    void forget(const UpstreamRequest& request);

    /// The Basic header of a login, or nothing when it has to be asked for at home.
    std::optional<Authorization> find_basic(const Credential& credential, std::size_t login, Instant time);
    void keep_basic(const CredentialPointer& credential, const Authorization& authorization);

  private:
    KeptAuthorizations<std::string> remembered_{remembered_max};
    KeptAuthorizations<std::uint64_t> basics_{basics_max};
};

}  // namespace entrepot
