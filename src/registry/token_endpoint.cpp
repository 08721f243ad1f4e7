#include "registry/token_endpoint.h"

#include "entrepot/http/form.h"
#include "entrepot/rules/rule_document.h"
#include "registry/admission.h"
#include "registry/reply.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t form_bytes_max = 16 * 1024;
const std::string basic_challenge = "WWW-Authenticate: Basic realm=\"entrepot\"\r\n";

bool pulls(std::string_view actions) noexcept {
    for (;;) {
        auto comma = actions.find(',');
        auto action = actions.substr(0, comma);
        if (action == "pull" || action == "*") return true;
        if (comma == std::string_view::npos) return false;
        actions.remove_prefix(comma + 1);
    }
}

void add_scope(std::string_view scope, std::vector<std::string>& repositories) {
    auto first = scope.find(':'), last = scope.rfind(':');
    if (first == last) return;
    auto type = scope.substr(0, first), name = scope.substr(first + 1, last - first - 1);
    bool wanted = type == "repository" && is_repository(name) && pulls(scope.substr(last + 1));
    bool twice = std::ranges::find(repositories, name) != repositories.end();
    if (wanted && !twice && repositories.size() < token_repositories_max) repositories.emplace_back(name);
}

/// Whom the form names and what it wants.
struct Wish {
    std::vector<std::string> repositories;
    std::string user, password, grant_type;
};

Wish wish_of(Form& form) {
    Wish wish;
    for (auto& [name, value] : form.fields) {
        if (name == "scope") {
            for (auto& repository : repositories_in(value)) {
                if (wish.repositories.size() < token_repositories_max) wish.repositories.push_back(std::move(repository));
            }
        }
        if (name == "username") wish.user = value;
        if (name == "password") wish.password.swap(value);
        if (name == "grant_type") wish.grant_type = value;
    }
    return wish;
}

Task<After> reply_token(Exchange& exchange, const Door& door, const Visitor& visitor, std::vector<std::string> repositories) {
    std::string scope;
    for (auto& repository : repositories) scope += (scope.empty() ? "repository:" : " repository:") + repository + ":pull";
    auto token = door.keeper.token_for(visitor, std::move(repositories));
    nlohmann::json body{{"token", token},
                        {"access_token", token},
                        {"token_type", "Bearer"},
                        {"scope", scope},
                        {"expires_in", pull_token_seconds},
                        {"issued_at", rfc3339(wall_seconds())}};
    auto reply = reply_body(exchange, 200, {}, "application/json", body.dump(), "Cache-Control: no-store\r\n");
    co_return co_await reply;
}

Task<After> reply_bad_form(Exchange& exchange, std::uint16_t status, std::string message) {
    return reply_error(exchange, status, OciCode::unsupported, std::move(message));
}

Task<After> answer_visitor(Exchange& exchange, const Door& door, Visitor visitor, std::vector<std::string> repositories) {
    if (visitor.account) exchange.asked_by(visitor.account->name);
    bool welcome = visitor.standing == Visitor::Standing::known || visitor.standing == Visitor::Standing::nobody;
    if (welcome) return reply_token(exchange, door, visitor, std::move(repositories));
    return reply_to_refused(exchange, visitor, basic_challenge);
}

Task<After> serve_get(Exchange& exchange, const Door& door) {
    auto& head = exchange.head();
    auto form = parse_form(head.query);
    if (!form) co_return co_await reply_bad_form(exchange, 400, "the query is not well formed");
    auto wish = wish_of(*form);
    auto credentials = parse_authorization(head.authorization);
    auto source = source_of(exchange);
    exchange.release_head();
    Visitor visitor;
    if (credentials.kind == ShownKind::basic) {
        auto login =
            door.keeper.log_in(door.routing.accounts(), std::move(credentials.user), std::move(credentials.password), source);
        visitor = co_await login;
    } else if (credentials.kind != ShownKind::none) {
        visitor.standing = Visitor::Standing::refused;  // a token buys no token
    }
    auto reply = answer_visitor(exchange, door, std::move(visitor), std::move(wish.repositories));
    co_return co_await reply;
}

Task<After> reply_unread(Exchange& exchange, const Error& error) {
    switch (error.code) {
        case Code::too_large: return reply_bad_form(exchange, 413, "the form is longer than 16 KiB");
        case Code::timeout: return reply_bad_form(exchange, 408, "the form did not arrive in time");
        default: return reply_bad_form(exchange, 400, "the form is not framed as its head promised");
    }
}

Task<After> serve_post(Exchange& exchange, const Door& door) {
    bool is_form = exchange.head().content_type.starts_with("application/x-www-form-urlencoded");
    auto source = source_of(exchange);
    if (!is_form) co_return co_await reply_bad_form(exchange, 415, "the body must be a form (application/x-www-form-urlencoded)");
    auto body = co_await exchange.read_body(form_bytes_max);
    if (!body && (body.error().code == Code::closed || body.error().code == Code::reset)) co_return After::abort;
    if (!body) co_return co_await reply_unread(exchange, body.error());
    auto text = *std::move(body);
    auto form = parse_form(text);
    wipe_secret(text);
    if (!form) co_return co_await reply_bad_form(exchange, 400, "the form is not well formed");
    auto wish = wish_of(*form);
    // A refresh token we never gave; whoever has one starts again with his password.
    if (wish.grant_type != "password") co_return co_await reply_bad_form(exchange, 400, "grant_type must be \"password\"");
    auto login = door.keeper.log_in(door.routing.accounts(), std::move(wish.user), std::move(wish.password), source);
    auto visitor = co_await login;
    auto reply = answer_visitor(exchange, door, std::move(visitor), std::move(wish.repositories));
    co_return co_await reply;
}

}  // namespace

std::vector<std::string> repositories_in(std::string_view scope) {
    std::vector<std::string> repositories;
    while (!scope.empty()) {
        auto blank = std::min(scope.find(' '), scope.size());
        add_scope(scope.substr(0, blank), repositories);
        scope.remove_prefix(std::min(blank + 1, scope.size()));
    }
    return repositories;
}

Task<After> serve_token(Exchange& exchange, Door door) {
    switch (exchange.head().method) {
        case Method::get:
        case Method::head: co_return co_await serve_get(exchange, door);
        case Method::post: co_return co_await serve_post(exchange, door);
        default: break;
    }
    exchange.close_after();
    co_return co_await reply_error(exchange, 405, OciCode::unsupported, "tokens are asked for with GET or POST", {},
                                   "Allow: GET, HEAD, POST\r\n");
}

}  // namespace entrepot
