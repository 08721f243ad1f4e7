#pragma once
// What one shard knows about logging in: the secrets of credential sets for a short while, and for each repository the header
// that upstream took last, so that the next request need not wait for a challenge.

#include "upstream/authorization.h"
#include "upstream/table.h"

namespace entrepot {

class Logins {
  public:
    static constexpr std::size_t remembered_max = 16384;  ///< repositories; all are forgotten beyond

    explicit Logins(const UpstreamTable::Options& options) noexcept : options_(options) {}

    /// What worked for this upstream, credential and repository, or none.
    Authorization find(const UpstreamRequest& request, Instant time);
    void remember(const UpstreamRequest& request, const Authorization& authorization);
    void forget(const UpstreamRequest& request);

    /// The Basic header of a credential. `refused` is one that was just refused: the secret is read again then, and refused for
    /// good when it is still the same.
    Task<AuthorizationAnswer> basic(const CredentialSpec& credential, std::string refused);

  private:
    const UpstreamTable::Options& options_;
    std::unordered_map<std::string, Authorization> remembered_;
    std::unordered_map<std::string, Authorization> secrets_;  // by credential set; as many as there are
};

}  // namespace entrepot
