#pragma once
// Bearer tokens: asked for once per upstream, credential and scope for the whole process (the home shard asks), kept until
// shortly before they end.

#include "entrepot/http/token.h"

#include "upstream/kept_authorization.h"
#include "upstream/table.h"

namespace entrepot {

class UpstreamsOfShard;

/// One token request.
struct TokenOrder {
    const UpstreamSpec* upstream = nullptr;
    CredentialPointer credential;  ///< null: anonymous
    Url url;                       ///< the realm with service and scope
    /// Two orders with the same key get the same token.
    std::string key() const;
};

class Tokens {
  public:
    static constexpr std::size_t tokens_max = 16384;  ///< kept; all are forgotten beyond

    explicit Tokens(UpstreamsOfShard& upstreams) noexcept : upstreams_(upstreams) {}
    /// On the home shard: from memory, from a running request, or from the realm. `refused`: a header that upstream no longer
    /// takes.
    Task<AuthorizationAnswer> get(TokenOrder order, std::string refused);

  private:
    struct InFlight {
        Condition ended;
        std::optional<AuthorizationAnswer> outcome;
    };
    Task<AuthorizationAnswer> ask(const TokenOrder& order);
    Task<Result<std::string, UpstreamFailure>> fetch(const TokenOrder& order);

    UpstreamsOfShard& upstreams_;
    KeptAuthorizations<std::string> known_{tokens_max};
    std::unordered_map<std::string, std::shared_ptr<InFlight>> in_flight_;
};

}  // namespace entrepot
