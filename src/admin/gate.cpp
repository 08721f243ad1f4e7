#include "admin/gate.h"

#include "entrepot/base/log.h"
#include "entrepot/io/await.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace entrepot {
namespace {

/// The token of `Bearer <token>` (RFC 6750 section 2.1); empty when there is none.
std::string bearer_of(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (authorization.size() <= scheme.size()) return {};
    bool is_bearer = std::equal(scheme.begin(), scheme.end(), authorization.begin(),
                                [](char lower, char c) { return lower == (c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); });
    if (!is_bearer) return {};
    auto token = authorization.substr(scheme.size());
    while (token.starts_with(' ')) token.remove_prefix(1);
    return std::string(token);
}

bool is_own_page(const Gate::Asked& asked) {
    bool is_own_origin =
        asked.origin.empty() || asked.origin == "http://" + asked.host || asked.origin == "https://" + asked.host;
    bool is_own_site = asked.fetch_site.empty() || asked.fetch_site == "same-origin" || asked.fetch_site == "none";
    return is_own_origin && is_own_site;
}

ApiReply unauthorised(std::string message, std::string challenge) {
    ApiReply reply(ApiError(401, "TokenRequired", std::move(message)));
    return std::move(reply.with("WWW-Authenticate", std::move(challenge)));
}

ApiReply no_token(const Gate::Asked& asked, const Peer& peer) {
    if (peer.is_unix)
        return ApiError(
            403, "NotAllowed",
            fmt::format("user {} may not change anything here: root, the server's user and the members of the socket's group may",
                        peer.user));
    std::string_view what = asked.access == Access::change ? "changing anything over TCP" : "reading from another machine";
    return unauthorised(fmt::format("{} needs the token in the store's admin.token: send it as Authorization: Bearer", what),
                        "Bearer");
}

}  // namespace

bool is_own_host(std::string_view host) {
    auto colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) host = host.substr(0, colon);
    return host.empty() || host == "localhost" || Address::parse(host, 0).has_value();
}

bool Gate::is_trusted(const Peer& peer) const noexcept {
    if (!peer.is_unix) return false;
    return peer.user == 0 || peer.user == ::geteuid() || (socket_group_ && peer.is_in_group(*socket_group_));
}

Task<std::optional<ApiReply>> Gate::refuse(const Asked& asked, const Peer& peer) {
    bool is_local = peer.is_unix || peer.address.is_loopback();
    bool is_open = asked.access == Access::anybody || (asked.access == Access::read && is_local) || is_trusted(peer);
    bool is_own = is_own_host(asked.host);
    if (!is_open || (!is_own && !bearer_of(asked.authorization).empty())) {
        auto refused = co_await refuse_token(asked, peer);
        if (refused) co_return refused;
    } else if (!is_own) {
        co_return ApiError(403, "HostForeign", "the Host is not an address of this server, or localhost");
    }
    if (asked.access == Access::change && !is_own_page(asked))
        co_return ApiError(403, "OriginForeign", "a page of another origin may not change anything here");
    co_return std::nullopt;
}

Task<std::optional<ApiReply>> Gate::refuse_token(const Asked& asked, const Peer& peer) {
    auto presented = bearer_of(asked.authorization);
    if (presented.empty()) co_return no_token(asked, peer);
    auto verdict = AdminToken::Verdict::unusable;
    if (token_) verdict = co_await token_->check(std::move(presented));
    if (verdict == AdminToken::Verdict::right) co_return std::nullopt;
    if (verdict == AdminToken::Verdict::unusable)
        co_return ApiError(403, "TokenUnusable",
                           "no token is accepted: the server's log says what is wrong with its admin.token");
    bool waited = co_await wrong_.wait(peer);
    if (waited) co_return unauthorised("this is not the token in the store's admin.token", "Bearer error=\"invalid_token\"");
    ApiReply busy(ApiError(429, "TooManyWrongTokens", "too many wrong tokens: try again in a second"));
    co_return std::move(busy.with("Retry-After", "1"));
}

}  // namespace entrepot
