#include "load/login.h"

#include "entrepot/base/base64.h"
#include "entrepot/http/token.h"
#include "load/node.h"

#include <fmt/format.h>

namespace entrepot::load {
namespace {

/// `name=value`, as a form and as a query have it.
std::string pair(std::string_view name, std::string_view value) { return fmt::format("{}={}", name, percent_encode(value)); }

}  // namespace

std::string Login::basic() const {
    if (plan_.options.user.empty()) return {};
    return fmt::format("Authorization: Basic {}\r\n", base64(plan_.options.user + ":" + plan_.password));
}

Task<std::optional<Trouble>> Login::answer(Node& node, const Origin& asked, std::vector<Challenge> challenges,
                                           std::string_view scope) {
    line_.clear();
    if (const auto* bearer = find_challenge(challenges, "bearer")) {
        auto url = token_url(*bearer, scope);
        if (!url || !plan_.reach.addresses_of(url->origin)) co_return Trouble::login;
        // A realm without TLS must not learn what was meant for a server with it.
        if (asked.is_tls() && !url->origin.is_tls() && !plan_.options.user.empty()) co_return Trouble::login;
        co_return co_await fetch_token(node, std::move(*url));
    }
    if (!find_challenge(challenges, "basic") || plan_.options.user.empty()) co_return Trouble::login;
    line_ = basic();
    co_return std::nullopt;
}

Task<std::optional<Trouble>> Login::fetch_token(Node& node, Url url) {
    const auto& options = plan_.options;
    if (plan_.profile.posts_for_token && !options.user.empty()) {
        auto form = fmt::format("{}&{}&{}&{}&{}", pair("client_id", "containerd-client"), pair("grant_type", "password"),
                                pair("username", options.user), pair("password", plan_.password), url.query);
        Url place = url;
        place.query.clear();
        auto lines = fmt::format(
            "POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            place.target(), place.origin.authority(), plan_.profile.agent, form.size());
        auto trouble = co_await read_token(node, place, std::move(lines), "\r\n" + form);
        // Token servers that know no OAuth2 are asked the older way.
        if (!trouble || node.crew().is_over) co_return trouble;
    }
    if (!options.user.empty()) url.query = set_query(url.query, "account", options.user);
    auto lines = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n{}", url.target(), url.origin.authority(), plan_.profile.agent);
    co_return co_await read_token(node, url, std::move(lines), basic() + "\r\n");
}

Task<std::optional<Trouble>> Login::read_token(Node& node, const Url& url, std::string lines, std::string rest) {
    auto due = now();
    auto asked = co_await node.ask(url.origin, lines, rest, false);
    if (!asked) co_return asked.error();
    auto connection = std::move(*asked);
    Body body(Body::Use::keep, node.crew().tally, node.crew().live);
    auto trouble = co_await connection->take(body);
    auto status = connection->head().status;
    auto head_at = connection->head_at();
    co_await node.done_with(std::move(connection));
    if (trouble) co_return trouble;
    auto document = status == 200 && !body.too_large() ? parse_token_document(body.text()) : std::nullopt;
    if (!document) co_return Trouble::login;
    line_ = fmt::format("Authorization: Bearer {}\r\n", document->token);
    Ask what;
    what.kind = Kind::login;
    Got got;
    got.status = status;
    got.head_at = head_at;
    got.ended_at = now();
    node.note(what, got, body, due);
    co_return std::nullopt;
}

}  // namespace entrepot::load
