#include "registry/admission.h"

#include "entrepot/access/pull_decision.h"
#include "entrepot/base/random.h"
#include "entrepot/http/url.h"
#include "registry/reply.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

std::string scope_of(std::string_view repository) { return fmt::format("repository:{}:pull", repository); }

std::string_view address_bytes(const Address& address) noexcept {
    auto* data = address.data();
    if (address.family() == AF_INET) {
        auto& ip = reinterpret_cast<const sockaddr_in*>(data)->sin_addr;
        return {reinterpret_cast<const char*>(&ip), sizeof ip};
    }
    if (address.family() != AF_INET6) return {};
    auto& ip = reinterpret_cast<const sockaddr_in6*>(data)->sin6_addr;
    auto* bytes = reinterpret_cast<const char*>(&ip);
    if (IN6_IS_ADDR_V4MAPPED(&ip)) return {bytes + 12, 4};
    return {bytes, 8};
}

/// An account at an address: neither a hundred machines that share a login are one client, nor a hundred people behind one address that have each his own.
ClientKey client_of(const Account& account, std::uint64_t address) noexcept {
    return XXH3_64bits_withSeed(account.name.data(), account.name.size(), address);
}

Task<After> reply_challenge(Exchange& exchange, const Entrance& entrance, std::string_view scope, std::string_view error,
                            std::string message, std::string ns) {
    auto line = challenge_line(exchange, entrance, scope, error);
    auto reply = reply_error(exchange, 401, OciCode::unauthorized, std::move(message), ns, line);
    co_return co_await reply;
}

/// Nobody's rule. Whoever asks is a stranger to it: which rule it is and where it leads to, the operator asks the admin listener.
Task<After> reply_closed(Exchange& exchange, const RequestTarget& target) {
    auto asked = target.ns.empty() ? std::string(target.repository) : fmt::format("{} --ns {}", target.repository, target.ns);
    auto message = fmt::format(
        "nobody may pull '{}': the operator of this cache has not said who may; 'entrepot cache explain {}' names the rule, 'entrepot cache update -n RULE --pull' says who",
        target.repository, asked);
    auto reply = reply_error(exchange, 403, OciCode::denied, std::move(message), target.ns);
    co_return co_await reply;
}

Task<After> reply_not_admitted(Exchange& exchange, const Entrance& entrance, PullVerdict verdict, const Visitor& visitor,
                               const RequestTarget& target) {
    auto scope = scope_of(target.repository);
    std::string ns(target.ns);
    switch (verdict) {
        case PullVerdict::log_in: {
            // A token for anybody was not enough: clients take this word as "log in", and show the message.
            auto error = visitor.token ? "insufficient_scope" : "";
            return reply_challenge(exchange, entrance, scope, error, "authentication required", std::move(ns));
        }
        case PullVerdict::other_scope:
            return reply_challenge(exchange, entrance, scope, "insufficient_scope", "the token is not for this repository",
                                   std::move(ns));
        case PullVerdict::closed: return reply_closed(exchange, target);
        default: {
            auto message = fmt::format("no cache rule covers '{}' for account '{}'", target.repository, visitor.account->name);
            return reply_error(exchange, 404, OciCode::name_unknown, std::move(message), target.ns);
        }
    }
}

}  // namespace

std::uint64_t source_of(Exchange& exchange) {
    auto bytes = address_bytes(exchange.peer().address);
    return XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash_seed());
}

std::string challenge_line(Exchange& exchange, const Entrance& entrance, std::string_view scope, std::string_view error) {
    auto host = exchange.head().host;
    auto base = entrance.public_url;
    // The Host goes into a quoted string and a client goes where it says: nothing but a host and a port.
    if (base.empty() && is_valid_authority(host))
        base = fmt::format("{}://{}", exchange.stream().is_tls() ? "https" : "http", host);
    if (base.empty()) return fmt::format("WWW-Authenticate: Basic realm=\"{}\"\r\n", token_service);
    auto line = fmt::format("WWW-Authenticate: Bearer realm=\"{}{}\",service=\"{}\"", base, token_path, token_service);
    if (!scope.empty()) line += fmt::format(",scope=\"{}\"", scope);
    if (!error.empty()) line += fmt::format(",error=\"{}\"", error);
    return line + "\r\n";
}

Task<After> reply_to_refused(Exchange& exchange, const Visitor& visitor, std::string challenge) {
    auto wait = std::max<long>(1, std::chrono::ceil<seconds>(visitor.retry_after).count());
    auto later = fmt::format("Retry-After: {}\r\n", wait);
    switch (visitor.standing) {
        case Visitor::Standing::too_many_tries: {
            auto message = fmt::format("too many failed logins from this address; try again in {} s", wait);
            co_return co_await reply_error(exchange, 429, OciCode::too_many_requests, std::move(message), {}, later);
        }
        case Visitor::Standing::busy:
            co_return co_await reply_error(exchange, 503, OciCode::unavailable,
                                           "too many logins are being checked; try again in a moment", {}, later);
        default: break;
    }
    co_return co_await reply_error(exchange, 401, OciCode::unauthorized, "the credentials are not valid, or no longer", {},
                                   challenge);
}

Task<Recognised> recognise(Exchange& exchange, Door door) {
    Recognised recognised;
    auto looking = door.keeper.recognise(door.routing.accounts(), exchange.head().authorization, source_of(exchange));
    recognised.visitor = co_await looking;
    if (recognised.visitor.account) exchange.asked_by(recognised.visitor.account->name);
    auto standing = recognised.visitor.standing;
    if (standing == Visitor::Standing::nobody || standing == Visitor::Standing::known) co_return recognised;
    auto challenge = challenge_line(exchange, door.entrance, {}, "invalid_token");
    auto reply = reply_to_refused(exchange, recognised.visitor, std::move(challenge));
    recognised.answered = co_await reply;
    co_return recognised;
}

void name_client(Call& call) {
    if (call.source.client == 0) call.source.client = source_of(call.exchange);
}

Task<std::optional<After>> admit(Exchange& exchange, Door door, Routing::Found* found, const RequestTarget& target) {
    auto address = source_of(exchange);
    auto looking = door.keeper.recognise(door.routing.accounts(), exchange.head().authorization, address);
    auto visitor = co_await looking;
    if (visitor.account) exchange.asked_by(visitor.account->name);
    if (visitor.standing != Visitor::Standing::nobody && visitor.standing != Visitor::Standing::known) {
        auto challenge = challenge_line(exchange, door.entrance, scope_of(target.repository), "invalid_token");
        auto reply = reply_to_refused(exchange, visitor, std::move(challenge));
        co_return co_await reply;
    }
    auto ours = found ? target_repository(*found->rule, found->source.repository) : std::string();
    auto verdict = decide_pull(found ? &found->rule->text() : nullptr, target.repository, ours, visitor);
    if (verdict == PullVerdict::allowed) {
        found->source.client = visitor.account ? client_of(*visitor.account, address) : address;
        co_return std::nullopt;
    }
    auto reply = reply_not_admitted(exchange, door.entrance, verdict, visitor, target);
    co_return co_await reply;
}

Task<After> serve_base(Exchange& exchange, Door door, const RequestTarget& target) {
    if (!door.routing.anonymous()) {
        auto recognising = recognise(exchange, door);
        auto recognised = co_await recognising;
        if (recognised.answered) co_return *recognised.answered;
        if (recognised.visitor.standing == Visitor::Standing::nobody)
            co_return co_await reply_challenge(exchange, door.entrance, "", "", "authentication required", std::string());
    }
    co_return co_await reply_body(exchange, 200, target.ns, "application/json", "{}");
}

}  // namespace entrepot
