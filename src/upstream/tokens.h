#pragma once
// Bearer tokens: asked for once per upstream, credential and scope for the whole process (the home shard asks), kept until shortly before they end.

#include "entrepot/http/challenge.h"
#include "upstream/authorization.h"
#include "upstream/table.h"

namespace entrepot {

class UpstreamsOfShard;

/// What a token request is made from: a Bearer challenge.
struct TokenOrder {
    const UpstreamSpec* upstream = nullptr;
    const CredentialSpec* credential = nullptr;  ///< null: anonymous
    Url realm;                                   ///< with service and scope in its query: the URL of the request
    std::string key() const;
};

/// The order that a challenge asks for. `default_scope` stands in when neither the challenge nor the realm's query names one. Nothing when the realm is no URL.
std::optional<TokenOrder> order_of(const Challenge& challenge, const UpstreamSpec& upstream, const CredentialSpec* credential, std::string_view default_scope);

/// Reads `{"token" | "access_token", "expires_in"}`. Nothing when it is no such document.
struct TokenDocument {
    std::string token;
    Duration life{0};
};
std::optional<TokenDocument> parse_token_document(std::string_view json);

class Tokens {
  public:
    static constexpr std::size_t tokens_max = 16384;  ///< kept; all are forgotten beyond
    static constexpr std::size_t document_bytes_max = 64 * KiB;

    explicit Tokens(UpstreamsOfShard& upstreams) noexcept : upstreams_(upstreams) {}
    /// On the home shard: from memory, from a running request, or from the realm. `refused`: a header that upstream no longer takes.
    Task<AuthorizationAnswer> get(TokenOrder order, std::string refused);

  private:
    struct InFlight {
        Condition ended;
        std::optional<AuthorizationAnswer> outcome;
    };
    Task<AuthorizationAnswer> ask(const TokenOrder& order);
    Task<Result<std::string, UpstreamFailure>> fetch(const TokenOrder& order);

    UpstreamsOfShard& upstreams_;
    std::unordered_map<std::string, Authorization> known_;
    std::unordered_map<std::string, std::shared_ptr<InFlight>> in_flight_;
};

}  // namespace entrepot
