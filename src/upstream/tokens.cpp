#include "upstream/tokens.h"

#include "upstream/upstreams.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t token_bytes_max = 16 * KiB;          // a longer one would not fit a request head of 32 KiB in many servers
constexpr Duration life_default = seconds(60);             // what the token specification says when expires_in is absent
constexpr std::uint64_t life_seconds_max = 60 * 60;
constexpr int life_used_percent = 90;                      // clocks and queues take the rest

bool is_token_text(std::string_view token) noexcept {
    return !token.empty() && token.size() <= token_bytes_max && std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

/// "expires_in"; zero or less, or no whole number, counts as absent (a token that is over too early is renewed at the next 401).
Duration life_of(const nlohmann::json& document) {
    auto expires = document.find("expires_in");
    if (expires == document.end() || !expires->is_number_integer()) return life_default;
    // Unsigned first: what passes INT64_MAX would come out negative otherwise.
    if (expires->is_number_unsigned()) {
        auto given = expires->get<std::uint64_t>();
        return given == 0 ? life_default : Duration(seconds(std::min(given, life_seconds_max)));
    }
    return life_default;  // negative
}

}  // namespace

std::string TokenOrder::key() const { return fmt::format("{}\n{}\n{}", upstream->login_server, credential ? credential->name : "", realm.text()); }

std::optional<TokenOrder> order_of(const Challenge& challenge, const UpstreamSpec& upstream, const CredentialSpec* credential, std::string_view default_scope) {
    auto realm = parse_url(challenge.param("realm").value_or(""));
    if (!realm) return std::nullopt;
    auto service = challenge.param("service").value_or("");
    auto scope = challenge.param("scope").value_or("");
    bool scope_in_realm = find_query(realm->query, "scope").has_value();
    if (scope.empty() && !scope_in_realm) scope = default_scope;
    if (!service.empty()) realm->query = set_query(realm->query, "service", service);
    if (!scope.empty()) realm->query = set_query(realm->query, "scope", scope);
    TokenOrder order;
    order.upstream = &upstream;
    order.credential = credential;
    order.realm = *std::move(realm);
    return order;
}

std::optional<TokenDocument> parse_token_document(std::string_view json) {
    auto document = nlohmann::json::parse(json, nullptr, false);
    if (!document.is_object()) return std::nullopt;
    TokenDocument result;
    for (const char* name : {"token", "access_token"}) {
        auto found = document.find(name);
        if (found != document.end() && found->is_string() && result.token.empty()) result.token = found->get<std::string>();
    }
    if (!is_token_text(result.token)) return std::nullopt;
    result.life = life_of(document);
    return result;
}

Task<AuthorizationAnswer> Tokens::get(TokenOrder order, std::string refused) {
    auto key = order.key();
    auto known = known_.find(key);
    if (known != known_.end() && known->second.until > Loop::current().time() && known->second.header != refused) co_return known->second;
    auto running = in_flight_.find(key);
    if (running != in_flight_.end()) {
        auto joined = running->second;
        while (!joined->outcome) co_await joined->ended.wait();  // ends: the request has deadlines
        co_return *joined->outcome;
    }
    auto mine = std::make_shared<InFlight>();
    in_flight_.emplace(key, mine);
    auto outcome = co_await ask(order);
    in_flight_.erase(key);
    known_.erase(key);
    if (outcome) {
        if (known_.size() >= tokens_max) known_.clear();
        known_[key] = *outcome;
    }
    mine->outcome.emplace(outcome);
    mine->ended.notify_all();
    co_return outcome;
}

Task<AuthorizationAnswer> Tokens::ask(const TokenOrder& order) {
    auto document = co_await fetch(order);
    if (!document) co_return document.error();
    auto token = parse_token_document(*document);
    wipe(*document);
    if (!token) co_return make_failure(Fault::upstream, Code::bad_message, fmt::format("{} answered without a token", order.realm.origin.text()));
    Authorization authorization;
    authorization.header = "Bearer " + token->token;
    authorization.made = Loop::current().time();
    authorization.until = authorization.made + token->life * life_used_percent / 100;
    wipe(token->token);
    co_return authorization;
}

/// The realm's answer; asked a second time when it refuses a login whose secret has changed meanwhile.
Task<Result<std::string, UpstreamFailure>> Tokens::fetch(const TokenOrder& order) {
    std::string refused;
    for (;;) {
        Authorization login;
        if (order.credential) {
            auto basic = co_await upstreams_.logins().basic(*order.credential, refused);
            if (!basic) co_return basic.error();
            login = *basic;
        }
        auto document = co_await upstreams_.fetch_document(order, login);
        bool login_refused = !document && document.error().error.code == Code::unauthorized;
        if (!order.credential || !login_refused || !refused.empty()) co_return document;
        refused = login.header;
    }
}

}  // namespace entrepot
