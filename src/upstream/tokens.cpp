#include "upstream/tokens.h"

#include "upstream/login_record.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr int life_used_percent = 90;  // clocks and queues take the rest

Authorization with_margin(Authorization authorization) {
    authorization.until = authorization.made + (authorization.until - authorization.made) * life_used_percent / 100;
    return authorization;
}

std::string parameter(const Url& url, std::string_view name) {
    auto encoded = find_query(url.query, name);
    return encoded ? percent_decode(*encoded).value_or("") : "";
}

UpstreamFailure without_token(const Origin& origin) {
    return make_failure(Fault::upstream, Code::bad_message, fmt::format("{} answered without a token", origin.text()));
}

/// Whose login the registry refuses.
UpstreamFailure of_identity(const UpstreamFailure& refusal, const IdentityReference& identity) {
    if (refusal.error.code != Code::unauthorized && refusal.error.code != Code::denied) return refusal;
    return make_failure(
        refusal.error.fault, refusal.error.code,
        fmt::format("identity {}: {}; does it have the role to read this repository there?", identity.text(), refusal.why),
        refusal.error.detail);
}

}  // namespace

std::string TokenOrder::key() const { return fmt::format("{}\n{}\n{}", upstream->login_server, id_of(credential), url.text()); }

Task<AuthorizationAnswer> Tokens::get(TokenOrder order, std::string refused) {
    auto key = order.key();
    auto known = known_.find(key, Loop::current().time());
    if (known && known->header != refused) co_return *known;
    if (auto flight = flights_.find(key)) co_return co_await flight->landed();
    auto flight = flights_.begin(key);
    auto answer = co_await ask(order);
    if (answer) known_.keep(key, *answer, order.credential);
    else known_.forget(key);
    flights_.end(key, flight, answer);
    co_return answer;
}

Task<AuthorizationAnswer> Tokens::ask(const TokenOrder& order) {
    auto& credential = order.credential;
    if (!credential) co_return co_await ask_realm(order, Authorization());
    if (!credential->spec().identity) co_return co_await ask_with_logins(order);
    auto& record = credential->state().logins;
    auto answer = co_await ask_as_identity(order);
    auto time = Loop::current().time();
    if (answer) record.note_good(0, time);
    else if (is_about_login(answer.error())) record.note_bad(0, answer.error(), time);
    co_return answer;
}

Task<AuthorizationAnswer> Tokens::ask_with_logins(const TokenOrder& order) {
    auto& record = order.credential->state().logins;
    LoginWalk walk(order.credential, record.first(Loop::current().time()));
    for (;;) {
        auto answer = co_await ask_with_login(order, walk.login());
        auto time = Loop::current().time();
        if (answer) record.note_good(walk.login(), time);
        if (answer || !is_about_login(answer.error())) co_return answer;
        if (!walk.failed(answer.error(), time)) co_return walk.failure();
    }
}

/// Asked a second time when the realm refuses a login whose secret has changed meanwhile.
Task<AuthorizationAnswer> Tokens::ask_with_login(const TokenOrder& order, std::size_t login) {
    std::string none;
    auto life = door_.options().secret_life;
    auto basic = co_await passwords_.get(order.credential, login, none, life);
    if (!basic) co_return basic;
    auto answer = co_await ask_realm(order, *basic);
    bool is_refused = !answer && answer.error().error.code == Code::unauthorized;
    if (!is_refused) co_return answer;
    auto changed = co_await passwords_.get(order.credential, login, basic->header, life);
    bool is_same = !changed && changed.error().error.fault == Fault::upstream;
    if (is_same) {
        auto& refusal = answer.error();
        co_return make_failure(refusal.error.fault, refusal.error.code,
                               fmt::format("credential set '{}': {}", order.credential->name(), refusal.why),
                               refusal.error.detail);
    }
    if (!changed) co_return changed;
    co_return co_await ask_realm(order, *changed);
}

Task<AuthorizationAnswer> Tokens::ask_as(TokenOrder order, std::size_t login) {
    if (!order.credential->spec().identity) co_return co_await ask_with_login(order, login);
    std::string none;
    co_return co_await refresh_token(order, none);
}

Task<AuthorizationAnswer> Tokens::ask_realm(const TokenOrder& order, const Authorization& login) {
    DocumentRequest request;
    request.url = order.url;
    if (!login.header.empty()) request.add_field("Authorization", login.header);
    auto document = co_await door_.ask_realm(order, std::move(request));
    if (!document) co_return document.error();
    auto token = parse_token_document(document->text);
    if (!token) co_return without_token(order.url.origin);
    Grant grant;
    grant.token = SecretText(std::move(token->token));
    grant.life = token->life;
    co_return with_margin(authorization_of("Bearer ", grant, Loop::current().time()));
}

// ---- Azure Container Registry

/// The refresh token of the registry buys one for the scope. When it is not taken any more, a new one is tried once.
Task<AuthorizationAnswer> Tokens::ask_as_identity(const TokenOrder& order) {
    std::string refused;
    for (;;) {
        auto refresh = co_await refresh_token(order, refused);
        if (!refresh) co_return refresh;
        DocumentRequest request;
        request.url.origin = order.url.origin;
        request.url.path = order.url.path;
        request.add_to_form("grant_type", "refresh_token");
        request.add_to_form("service", parameter(order.url, "service"));
        request.add_to_form("scope", parameter(order.url, "scope"));
        request.add_to_form("refresh_token", refresh->header);
        auto document = co_await door_.ask_realm(order, std::move(request));
        bool is_refused = !document && document.error().error.code == Code::unauthorized;
        if (is_refused && refused.empty()) {
            refused = refresh->header;
            continue;
        }
        wipe(refused);
        if (!document) co_return of_identity(document.error(), *order.credential->spec().identity);
        auto grant = parse_registry_token(document->text, "access_token", wall_seconds());
        if (!grant) co_return without_token(order.url.origin);
        co_return with_margin(authorization_of("Bearer ", *grant, Loop::current().time()));
    }
}

/// What the registry gives for a token of the directory: the bare refresh token.
Task<AuthorizationAnswer> Tokens::refresh_token(const TokenOrder& order, std::string refused) {
    auto key = fmt::format("{}\n{}", id_of(order.credential), order.url.origin.text());
    auto known = refresh_tokens_.find(key, Loop::current().time());
    if (known && known->header != refused) co_return *known;
    wipe(refused);
    auto& identity = *order.credential->spec().identity;
    auto& host = order.url.origin.host;
    if (!may_see_identity(door_.options().services.identity, host))
        co_return make_failure(
            Fault::policy, Code::unauthorized,
            fmt::format("identity {}: {} is no registry of Azure, so it sees no token; if it is meant, name it in registries "
                        "of [identity]",
                        identity.text(), host),
            401);
    auto token = co_await identities_.token(identity, door_.options().services.identity.audience);
    if (!token) co_return as_unavailable(token.error(), fmt::format("identity {}", identity.text()));
    DocumentRequest request;
    request.url.origin = order.url.origin;
    request.url.path = "/oauth2/exchange";
    request.add_to_form("grant_type", "access_token");
    request.add_to_form("service", parameter(order.url, "service"));
    if (!identity.tenant.empty()) request.add_to_form("tenant", identity.tenant);
    request.add_to_form("access_token", token->header);
    auto document = co_await door_.ask_realm(order, std::move(request));
    if (!document) co_return of_identity(document.error(), identity);
    auto grant = parse_registry_token(document->text, "refresh_token", wall_seconds());
    if (!grant) co_return without_token(order.url.origin);
    auto refresh = with_margin(authorization_of("", *grant, Loop::current().time()));
    refresh_tokens_.keep(key, refresh, order.credential);
    co_return refresh;
}

}  // namespace entrepot
