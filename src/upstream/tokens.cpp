#include "upstream/tokens.h"

#include "upstream/upstreams.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t token_document_bytes_max = 64 * 1024;
constexpr std::size_t token_bytes_max = 16 * 1024;       // a longer one would not fit a request head of 32 KiB in many servers
constexpr Duration life_default = seconds(60);           // what the token specification says when expires_in is absent
constexpr Duration life_max = std::chrono::hours(1);
constexpr double life_used = 0.9;                        // clocks and queues take the rest

bool is_token_text(std::string_view token) noexcept {
    return !token.empty() && token.size() <= token_bytes_max && std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::string TokenOrder::key() const { return fmt::format("{}\n{}\n{}\n{}\n{}", upstream->login_server, credential ? credential->name : "", realm, service, scope); }

std::optional<TokenOrder> order_of(const Challenge& challenge, const UpstreamSpec& upstream, const CredentialSpec* credential, std::string_view default_scope) {
    auto realm = challenge.param("realm");
    if (!realm || !parse_url(*realm)) return std::nullopt;
    TokenOrder order;
    order.upstream = &upstream;
    order.credential = credential;
    order.realm = *realm;
    order.service = challenge.param("service").value_or("");
    bool scope_in_realm = find_query(parse_url(*realm)->query, "scope").has_value();
    order.scope = challenge.param("scope").value_or(scope_in_realm ? std::string_view() : default_scope);
    return order;
}

std::optional<TokenDocument> parse_token_document(std::string_view json) {
    auto document = nlohmann::json::parse(json, nullptr, false);
    if (!document.is_object()) return std::nullopt;
    TokenDocument result;
    result.life = life_default;
    for (const char* name : {"token", "access_token"}) {
        auto found = document.find(name);
        if (found != document.end() && found->is_string() && result.token.empty()) result.token = found->get<std::string>();
    }
    if (!is_token_text(result.token)) return std::nullopt;
    auto expires = document.find("expires_in");
    if (expires != document.end() && expires->is_number_integer()) {
        auto given = std::clamp<std::int64_t>(expires->get<std::int64_t>(), 0, std::chrono::duration_cast<seconds>(life_max).count());
        result.life = seconds(given);
    }
    return result;
}

Task<AuthorizationAnswer> Tokens::get(TokenOrder order, std::string refused) {
    auto key = order.key();
    auto known = known_.find(key);
    if (known != known_.end() && known->second.until > Loop::current().time() && known->second.header != refused) co_return known->second;
    auto running = in_flight_.find(key);
    if (running != in_flight_.end()) {
        auto joined = running->second;
        while (!joined->outcome) (void)co_await joined->ended.wait();
        co_return *joined->outcome;
    }
    auto mine = std::make_shared<InFlight>();
    in_flight_.emplace(key, mine);
    auto outcome = co_await ask(order);
    in_flight_.erase(key);
    if (outcome) {
        if (known_.size() >= tokens_max) known_.clear();
        known_[key] = *outcome;
    }
    mine->outcome.emplace(outcome);
    mine->ended.notify_all();
    co_return outcome;
}

Task<AuthorizationAnswer> Tokens::ask(const TokenOrder& order) {
    auto url = *parse_url(order.realm);
    if (!order.service.empty()) url.query = set_query(url.query, "service", order.service);
    if (!order.scope.empty()) url.query = set_query(url.query, "scope", order.scope);
    auto& state = upstreams_.table().state_of(*order.upstream);
    std::string header;
    if (order.credential) {
        auto basic = co_await upstreams_.basic_authorization(*order.credential);
        if (!basic) co_return basic.error();
        header = basic->header;
    }
    auto document = co_await upstreams_.fetch_document(state, url, std::move(header), token_document_bytes_max);
    if (!document) co_return document.error();
    auto token = parse_token_document(document->text);
    if (!token) co_return make_failure(Fault::upstream, Code::bad_message, fmt::format("{} answered without a token", url.origin.text()));
    Authorization authorization;
    authorization.header = "Bearer " + token->token;
    authorization.until = Loop::current().time() + std::chrono::duration_cast<Duration>(token->life * life_used);
    co_return authorization;
}

}  // namespace entrepot
