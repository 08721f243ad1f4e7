#include "load/node.h"

#include "entrepot/http/range.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::load {
namespace {

constexpr int redirects_max = 5;
constexpr std::string_view end_of_head = "\r\n";
const std::string no_text;

bool is_redirect(std::uint16_t status) noexcept {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// The fields of a request without its line and Host, which a redirect changes.
std::string_view fields_of(std::string_view lines) noexcept {
    for (int line = 0; line < 2; ++line) lines.remove_prefix(std::min(lines.find("\r\n") + 2, lines.size()));
    return lines;
}

}  // namespace

Task<Result<std::unique_ptr<Connection>, Trouble>> Node::connection_to(const Origin& origin) {
    auto kept = std::find_if(kept_.rbegin(), kept_.rend(), [&](const auto& one) { return one->origin() == origin; });
    if (kept != kept_.rend()) {
        auto connection = std::move(*kept);
        kept_.erase(std::next(kept).base());
        co_return connection;
    }
    auto patience = crew_.plan.options.timeout;
    auto deadline = Loop::current().time() + patience;
    auto stream = co_await crew_.dialer.dial(origin, deadline);
    if (!stream) co_return stream.error();
    ++crew_.tally.connections;
    auto connection = std::make_unique<Connection>(std::move(*stream), origin, patience);
    crew_.open.push_back(*connection);
    if (crew_.is_over) connection->interrupt();
    co_return connection;
}

Task<void> Node::connect_ahead(const Origin& origin) {
    auto connection = co_await connection_to(origin);
    if (connection) kept_.push_back(std::move(*connection));
}

Task<Result<std::unique_ptr<Connection>, Trouble>> Node::ask(const Origin& origin, std::string_view lines, std::string_view rest,
                                                             bool is_head) {
    for (;;) {
        auto opened = co_await connection_to(origin);
        if (!opened) co_return opened.error();
        auto connection = std::move(*opened);
        bool was_kept = connection->asked_before();
        auto trouble = co_await connection->ask(lines, rest, is_head);
        if (!trouble) co_return connection;
        bool had_ended = was_kept && connection->silent() && *trouble != Trouble::timeout && !crew_.is_over;
        co_await done_with(std::move(connection));
        if (!had_ended) co_return *trouble;
        ++crew_.tally.retried;
    }
}

Task<void> Node::done_with(std::unique_ptr<Connection> connection) {
    if (connection->reusable() && kept_.size() < crew_.kept_max && !crew_.is_over) {
        kept_.push_back(std::move(connection));
        co_return;
    }
    connection->unlink();
    co_await connection->close();
}

Task<void> Node::close() {
    auto leaving = std::move(kept_);
    kept_.clear();
    for (auto& connection : leaving) {
        connection->unlink();
        co_await connection->close();
    }
}

/// Deals with an answer that is not the content: a challenge is answered, a redirect followed where it may, and the same is to
/// be asked again with what `detour` has learned.
Task<std::optional<Failed>> Node::step_aside(std::unique_ptr<Connection> connection, const Ask& ask, Detour& detour) {
    const auto& head = connection->head();
    auto status = head.status;
    bool challenged = status == 401;
    auto location = std::string(head.location);
    auto challenges = challenged ? parse_challenges(head.www_authenticate) : std::vector<Challenge>();
    Body page(Body::Use::drop, crew_.tally, crew_.live);
    auto trouble = co_await connection->take(page);
    co_await done_with(std::move(connection));
    if (trouble) co_return Failed{*trouble, status};
    if (challenged) {
        detour.answered_challenge = true;
        trouble = co_await ask.login->answer(*this, detour.place.origin, std::move(challenges), ask.scope);
        if (trouble) co_return Failed{*trouble, status};
        detour.authorization = ask.login->line();
        co_return std::nullopt;
    }
    auto next = resolve(detour.place, location);
    if (!next || ++detour.redirects > redirects_max || !crew_.plan.reach.addresses_of(next->origin))
        co_return Failed{Trouble::redirect, status};
    // Credentials stay with the server they were meant for.
    if (next->origin != detour.place.origin) {
        detour.authorization.clear();
        detour.answered_challenge = true;
    }
    detour.place = std::move(*next);
    detour.lines = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}", ask.is_head ? "HEAD" : "GET", detour.place.target(),
                               detour.place.origin.authority(), fields_of(ask.lines));
    ++crew_.tally.redirected;
    co_return std::nullopt;
}

Task<Result<Got, Failed>> Node::fetch(const Ask& ask, Body& body) {
    std::unique_ptr<Detour> detour;  // most questions are answered at once
    for (;;) {
        bool moved = detour && detour->redirects > 0;
        const auto& authorization = detour ? detour->authorization : ask.login ? ask.login->line() : no_text;
        std::string rest;
        if (!authorization.empty() || !ask.range.empty()) rest = fmt::format("{}{}\r\n", ask.range, authorization);
        std::string_view lines = moved ? std::string_view(detour->lines) : ask.lines;
        auto asked = co_await this->ask(moved ? detour->place.origin : ask.url->origin, lines, rest.empty() ? end_of_head : rest,
                                        ask.is_head);
        if (!asked) co_return Failed{asked.error()};
        auto status = (*asked)->head().status;
        bool challenged = status == 401 && ask.login && !(detour && detour->answered_challenge);
        if (!challenged && !is_redirect(status)) co_return co_await finish(std::move(*asked), ask, body);
        if (!detour) detour = std::make_unique<Detour>(Detour{*ask.url, authorization, {}});
        auto failed = co_await step_aside(std::move(*asked), ask, *detour);
        if (failed) co_return *failed;
    }
}

/// Takes the body of what was meant: content, or an error that is one.
Task<Result<Got, Failed>> Node::finish(std::unique_ptr<Connection> connection, const Ask& ask, Body& body) {
    const auto& head = connection->head();
    Got got;
    got.status = head.status;
    got.head_at = connection->head_at();
    if (ask.kind != Kind::url || verifies_) got.content_digest = std::string(head.docker_content_digest);
    std::optional<Trouble> trouble;
    if (got.status >= 300) {
        Body page(Body::Use::drop, crew_.tally, crew_.live);
        trouble = co_await connection->take(page);
        co_await done_with(std::move(connection));
        co_return Failed{trouble.value_or(Trouble::status), got.status};
    }
    auto part = got.status == 206 ? parse_content_range(head.content_range) : std::nullopt;
    bool other_part = got.status == 206 && !ask.range.empty() && (!part || part->unsatisfied || part->first != body.received());
    if (got.status == 200 && !ask.range.empty()) body.restart();
    if (other_part) trouble = Trouble::bad_message;
    else trouble = co_await connection->take(body);
    co_await done_with(std::move(connection));
    if (trouble) co_return Failed{*trouble, 0};
    got.ended_at = now();
    co_return got;
}

/// With --verify: whether the body is what the path, or else the answer's own header, says.
bool Node::check_body(const Target& target, const Got& got, const Body& body) {
    auto digest = body.digest();
    if (!digest) return true;
    auto wanted = target.digest ? target.digest : Digest::parse(got.content_digest);
    if (!wanted) return true;
    if (*wanted != *digest) return false;
    ++crew_.tally.verified;
    return true;
}

Task<bool> Node::get(const Target& target, std::string_view lines, Instant due, bool is_head, std::uint16_t expected) {
    Ask ask;
    ask.url = &target.url;
    ask.lines = lines;
    ask.is_head = is_head;
    ask.login = &login_;
    Body body(Body::Use::drop, crew_.tally, crew_.live);
    if (verifies_ && !is_head) body.hash_with(target.digest ? target.digest->algorithm() : DigestAlgorithm::sha256);
    if (crew_.slow_reader > 0) body.read_slowly(crew_.slow_reader);
    auto got = co_await fetch(ask, body);
    if (!got) {
        if (got.error().trouble == Trouble::status && got.error().status == expected) {
            Got refused;
            refused.status = expected;
            refused.head_at = refused.ended_at = now();
            note(ask, refused, body, due);
            co_return true;
        }
        note(got.error());
        co_return false;
    }
    if (!check_body(target, *got, body)) {
        note(Failed{Trouble::wrong_digest, got->status});
        co_return false;
    }
    note(ask, *got, body, due);
    co_return true;
}

void Node::note(const Ask& ask, const Got& got, const Body& body, Instant due) {
    auto first_byte = body.first_byte_at() == Instant{} ? got.head_at : body.first_byte_at();
    Answered answered{ask.kind, got.status, body.received(), due, first_byte, got.ended_at};
    crew_.tally.answered(answered);
    Live::add(crew_.live.requests, 1);
}

void Node::note(const Failed& failed) {
    if (crew_.is_over && !crew_.counts_unfinished) return;
    crew_.tally.failed(crew_.is_over ? Trouble::not_finished : failed.trouble, failed.status, now());
    Live::add(crew_.live.errors, 1);
}

}  // namespace entrepot::load
