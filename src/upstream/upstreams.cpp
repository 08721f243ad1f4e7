#include "upstream/upstreams.h"

#include "entrepot/base/log.h"
#include "entrepot/base/random.h"
#include "entrepot/http/date.h"
#include "entrepot/http/range.h"
#include "entrepot/io/blocking.h"
#include "entrepot/oci/manifest.h"
#include "upstream/exchange.h"

#include <algorithm>
#include <charconv>

namespace entrepot {
namespace {

constexpr int redirects_max = 5;
constexpr int challenges_answered_max = 2;  // per hop: one for a token that was refused, one for its successor
constexpr int attempts_max = 3;
constexpr Duration retry_pause = milliseconds(100);
constexpr Duration retry_after_max = std::chrono::hours(1);
constexpr Duration pause_without_retry_after = seconds(10);
constexpr Duration basic_life = seconds(30);  // a rotated secret is seen after so long
constexpr std::size_t authorizations_max = 16384;

constexpr std::string_view user_agent = "entrepot/0.1.0";

bool wants_manifest(UpstreamKind kind) { return kind == UpstreamKind::manifest_get || kind == UpstreamKind::manifest_head || kind == UpstreamKind::referrers; }

/// The whole request, from parsed values only.
std::string request_head(const UpstreamRequest& request, const Url& url, const std::string& authorization) {
    auto head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept-Encoding: identity\r\n", request.head ? "HEAD" : "GET", url.target(),
                            url.origin.authority(), user_agent);
    if (wants_manifest(request.kind)) head += fmt::format("Accept: {}\r\n", manifest_accept);
    if (request.range_from > 0) head += fmt::format("Range: bytes={}-\r\n", request.range_from);
    if (!authorization.empty()) head += fmt::format("Authorization: {}\r\n", authorization);
    return head + "\r\n";
}

bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

bool may_be_retried(const UpstreamFailure& failure) {
    if (failure.error.fault != Fault::upstream) return false;
    switch (failure.error.code) {
        case Code::refused:
        case Code::reset:
        case Code::closed:
        case Code::timeout: return true;
        case Code::bad_status: return failure.error.detail == 500 || failure.error.detail == 502 || failure.error.detail == 503 || failure.error.detail == 504;
        default: return false;
    }
}

/// Failures that say something about the upstream's health, as opposed to its opinion.
bool counts_against(const UpstreamFailure& failure) {
    if (failure.error.fault != Fault::upstream) return false;
    switch (failure.error.code) {
        case Code::not_found:
        case Code::unauthorized:
        case Code::denied:
        case Code::too_many_requests: return false;
        case Code::bad_status: return failure.error.detail >= 500;
        default: return true;
    }
}

std::string memory_key(const UpstreamRequest& request) {
    return fmt::format("{}\n{}\n{}", request.upstream->login_server, request.credential ? request.credential->name : "", request.repository);
}

}  // namespace

// ---- retry budget

void RetryBudget::refill(Instant time) noexcept {
    constexpr double per_second = 10, credits_max = 100;
    auto passed = refilled_.ns == 0 ? 0.0 : static_cast<double>((time - refilled_).count()) / 1e9;
    refilled_ = time;
    credits_ = std::min(credits_max, credits_ + passed * per_second);
}

void RetryBudget::earn(Instant time) noexcept {
    refill(time);
    credits_ += 0.2;
}

bool RetryBudget::spend(Instant time) noexcept {
    refill(time);
    if (credits_ < 1) return false;
    credits_ -= 1;
    return true;
}

// ---- asking

struct UpstreamsOfShard::Attempt {
    Url url;
    std::string authorization;
    int redirects = 0;
    int challenges = 0;  // on this hop
    bool started_secure = false;
};

std::unique_ptr<Upstreams> Upstreams::make(UpstreamTable& table) { return std::make_unique<UpstreamsOfShard>(static_cast<UpstreamTableOfProcess&>(table)); }

UpstreamsOfShard::UpstreamsOfShard(UpstreamTableOfProcess& table) : table_(table), loop_(Loop::current()), pool_(table), tokens_(*this) {
    table_.add_member(loop_, *this);
}

UpstreamsOfShard::~UpstreamsOfShard() { table_.remove_member(*this); }

void UpstreamsOfShard::count(UpstreamState& upstream, UpstreamKind kind, int status) noexcept {
    upstream.counters.by_status[static_cast<std::size_t>(kind)][static_cast<std::size_t>(status / 100)].fetch_add(1, std::memory_order_relaxed);
}

Task<UpstreamAnswer> UpstreamsOfShard::ask(UpstreamRequest request) {
    ASSERT(request.upstream);
    auto& upstream = table_.state_of(*request.upstream);
    auto& credential = upstream.credentials[table_.index_of(request.credential)];
    auto time = loop_.time();
    auto pause_left = Instant{credential.pause_until_ns.load(std::memory_order_relaxed)} - time;
    if (pause_left > Duration::zero()) {
        auto failure = make_failure(Fault::upstream, Code::too_many_requests, fmt::format("{} asked us to wait", upstream.spec.login_server), 429);
        failure.retry_after = pause_left;
        co_return failure;
    }
    if (!upstream.circuit.may_ask(time)) {
        co_return make_failure(Fault::upstream, Code::refused, fmt::format("{} failed {} times in a row; it is probed once a second", upstream.spec.login_server,
                                                                           Circuit::failures_to_open));
    }
    auto& slots = pool_.slots(table_.index_of(*request.upstream));
    bool admitted = co_await slots.acquire(loop_.time() + seconds(60));
    if (!admitted) co_return make_failure(Fault::capacity, Code::busy, fmt::format("too many requests wait for {}", upstream.spec.login_server));
    auto answer = co_await ask_with_retries(request, upstream);
    if (!answer) slots.release();  // else the exchange holds the slot until it is finished
    co_return answer;
}

Task<UpstreamAnswer> UpstreamsOfShard::ask_with_retries(const UpstreamRequest& request, UpstreamState& upstream) {
    auto& budget = budgets_[table_.index_of(*request.upstream)];
    budget.earn(loop_.time());
    std::size_t endpoint = 0;
    for (int tried = 1;; ++tried) {
        if (stopping_) co_return make_failure(Fault::shutdown, Code::stopping, "the server is stopping");
        auto answer = co_await attempt(request, upstream, upstream.endpoints[endpoint]);
        if (answer) {
            upstream.circuit.succeeded();
            co_return answer;
        }
        auto& failure = answer.error();
        if (stopping_) co_return make_failure(Fault::shutdown, Code::stopping, "the server is stopping");
        if (counts_against(failure)) upstream.circuit.failed(loop_.time());
        else upstream.circuit.succeeded();
        bool more_endpoints = upstream.endpoints.size() > 1 && endpoint + 1 < upstream.endpoints.size();
        if (!may_be_retried(failure) || (tried >= attempts_max && !more_endpoints)) co_return answer;
        if (more_endpoints) {
            ++endpoint;  // a mirror costs no budget
            continue;
        }
        if (!budget.spend(loop_.time())) co_return answer;
        // Full jitter, so that a recovering upstream is not met by a wave.
        auto pause_max = static_cast<std::uint64_t>(retry_pause.count()) << (tried - 1);
        co_await Sleep(Duration(random_bits() % pause_max));
    }
}

/// One try at one endpoint: challenges are answered and redirects followed until a status decides.
Task<UpstreamAnswer> UpstreamsOfShard::attempt(const UpstreamRequest& request, UpstreamState& upstream, const Origin& endpoint) {
    Attempt attempt;
    attempt.url.origin = endpoint;
    attempt.url.path = fmt::format("/v2/{}/{}", request.repository, request.resource);
    attempt.url.query = request.query;
    attempt.started_secure = endpoint.is_tls();
    attempt.authorization = authorization_for(request, upstream, attempt.url);
    for (;;) {
        auto sent = co_await send(request, upstream, attempt);
        if (!sent) co_return sent.error();
        auto connection = std::move(sent->connection);
        auto& head = connection->head();
        count(upstream, request.kind, head.status);
        if (head.status == 200 || head.status == 206) {
            if (!head.content_encoding.empty() && head.content_encoding != "identity") {
                co_await pool_.give_back(std::move(connection));
                co_return make_failure(Fault::upstream, Code::bad_message, fmt::format("{} sent an encoded body that was not asked for", attempt.url.origin.text()));
            }
            co_return std::unique_ptr<UpstreamExchange>(std::make_unique<ExchangeOfUpstream>(pool_, pool_.slots(table_.index_of(*request.upstream)), upstream, std::move(connection)));
        }
        std::optional<UpstreamFailure> failure;
        if (head.status == 401 && attempt.challenges < challenges_answered_max) {
            ++attempt.challenges;
            failure = co_await authorize(request, upstream, attempt, *connection);
        } else if (is_redirect(head.status)) {
            failure = follow_redirect(upstream, attempt, head);
        } else {
            failure = failure_of_status(request, upstream, attempt, head);
        }
        co_await pool_.give_back(std::move(connection));
        if (failure) co_return *failure;
    }
}

/// Gets a connection, sends, and waits for the head. An idle connection that the peer closed meanwhile is replaced once by a new one.
Task<Result<ConnectionPool::Lease, UpstreamFailure>> UpstreamsOfShard::send(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt) {
    bool fresh = false;
    for (;;) {
        auto lease = co_await pool_.open(upstream, attempt.url.origin, fresh, loop_.time() + table_.options().connect_timeout);
        if (!lease) {
            count(upstream, request.kind, 0);
            co_return lease;
        }
        auto head = request_head(request, attempt.url, attempt.authorization);
        auto answered = co_await lease->connection->ask(std::move(head), request.head, loop_.time() + table_.options().first_byte_timeout);
        if (answered) co_return lease;
        bool was_closed = lease->reused && lease->connection->silent() && answered.error().code != Code::timeout;
        co_await pool_.give_back(std::move(lease->connection));
        if (was_closed && !fresh) {
            fresh = true;
            continue;
        }
        count(upstream, request.kind, 0);
        co_return make_failure(Fault::upstream, answered.error().code, fmt::format("{} did not answer properly ({})", attempt.url.origin.text(), name_of(answered.error().code)));
    }
}

// ---- credentials

/// What worked for this repository before, sent without waiting for a challenge, and only to an endpoint of the upstream.
std::string UpstreamsOfShard::authorization_for(const UpstreamRequest& request, UpstreamState& upstream, const Url& url) {
    if (!upstream.owns(url.origin)) return {};
    auto known = authorizations_.find(memory_key(request));
    if (known == authorizations_.end()) return {};
    if (known->second.until > loop_.time()) return known->second.header;
    authorizations_.erase(known);
    return {};
}

/// Answers a 401 in `attempt`. Credentials are used only where they belong: Basic on an endpoint of the upstream, tokens from a realm that the upstream's rules allow. Any other
/// host that asks (the target of a redirect) may give us an anonymous token.
Task<std::optional<UpstreamFailure>> UpstreamsOfShard::authorize(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt, const UpstreamConnection& connection) {
    auto challenges = parse_challenges(connection.head().www_authenticate);
    bool own = upstream.owns(attempt.url.origin);
    auto* credential = own ? request.credential : nullptr;
    auto* bearer = find_challenge(challenges, "bearer");
    auto* basic = find_challenge(challenges, "basic");
    auto refused = std::exchange(attempt.authorization, {});
    AuthorizationAnswer answer = make_failure(Fault::upstream, Code::unauthorized,
                                              fmt::format("{} wants a login{}", attempt.url.origin.text(), credential ? " and refuses ours" : ""), 401);
    if (bearer) {
        auto order = order_of(*bearer, *request.upstream, credential, fmt::format("repository:{}:pull", request.repository));
        if (!order) co_return make_failure(Fault::upstream, Code::unauthorized, fmt::format("{} names no usable token realm", attempt.url.origin.text()), 401);
        auto realm = parse_url(order->realm)->origin;
        if (attempt.started_secure && !realm.is_tls()) {
            co_return make_failure(Fault::policy, Code::unauthorized, fmt::format("the token realm {} is not secure", realm.text()), 401);
        }
        if (credential && !upstream.may_issue_tokens(realm)) {
            co_return make_failure(Fault::policy, Code::unauthorized,
                                   fmt::format("the token realm {} may not see the credentials of {}; add it to the upstream's realms if that is meant", realm.text(),
                                               upstream.spec.login_server), 401);
        }
        answer = co_await token(*order, refused);
    } else if (basic && credential && !refused.starts_with("Basic ")) {
        answer = co_await basic_authorization(*credential);
    }
    if (!answer) co_return answer.error();
    attempt.authorization = answer->header;
    if (own) {
        if (authorizations_.size() >= authorizations_max) authorizations_.clear();
        authorizations_[memory_key(request)] = *answer;
    }
    co_return std::nullopt;
}

Task<AuthorizationAnswer> UpstreamsOfShard::token(const TokenOrder& order, std::string refused) {
    auto& home = table_.home();
    auto work = [&] { return home.tokens_.get(order, refused); };
    auto answer = co_await run_on(table_.home_loop(), work);
    co_return answer;
}

Task<AuthorizationAnswer> UpstreamsOfShard::basic_authorization(const CredentialSpec& credential) {
    auto known = basic_.find(credential.name);
    if (known != basic_.end() && known->second.until > loop_.time()) co_return known->second;
    auto read = [&credential] { return read_secret(credential.username_reference, credential.password_reference); };
    auto secret = co_await run_blocking(Lane::resolver, read);
    if (!secret) co_return make_failure(Fault::policy, Code::unauthorized, fmt::format("credential set '{}': {}", credential.name, secret.error()), 401);
    Authorization authorization;
    authorization.header = secret->basic_header();
    authorization.until = loop_.time() + basic_life;
    basic_[credential.name] = authorization;
    co_return authorization;
}

Task<Result<UpstreamsOfShard::SmallDocument, UpstreamFailure>> UpstreamsOfShard::fetch_document(UpstreamState& upstream, const Url& url, std::string authorization,
                                                                                                std::size_t bytes_max) {
    UpstreamRequest request;
    request.upstream = &upstream.spec;
    request.kind = UpstreamKind::token;
    Attempt attempt;
    attempt.url = url;
    attempt.authorization = std::move(authorization);
    auto sent = co_await send(request, upstream, attempt);
    wipe(attempt.authorization);
    if (!sent) co_return sent.error();
    auto connection = std::move(sent->connection);
    int status = connection->head().status;
    count(upstream, UpstreamKind::token, status);
    std::optional<UpstreamFailure> failure;
    // A realm that redirects would lead our login elsewhere: it is not followed.
    if (status != 200) failure = failure_of_status(request, upstream, attempt, connection->head());
    SmallDocument document;
    std::vector<std::byte> piece(16 * KiB);
    while (!failure) {
        auto got = co_await connection->read_body(piece, loop_.time() + table_.options().first_byte_timeout);
        if (!got) failure = make_failure(Fault::upstream, got.error().code, fmt::format("{} broke off", url.origin.text()));
        else if (*got == 0) break;
        else if (document.text.size() + *got > bytes_max) failure = make_failure(Fault::upstream, Code::too_large, fmt::format("{} sent too much", url.origin.text()));
        else document.text.append(text_of(Bytes(piece).first(*got)));
    }
    co_await pool_.give_back(std::move(connection));
    if (failure) co_return *failure;
    co_return document;
}

// ---- statuses

std::optional<UpstreamFailure> UpstreamsOfShard::follow_redirect(UpstreamState& upstream, Attempt& attempt, const ResponseHead& head) {
    auto from = attempt.url.origin.text();
    if (++attempt.redirects > redirects_max) return make_failure(Fault::upstream, Code::loop, fmt::format("{} redirects more than {} times", upstream.spec.login_server, redirects_max));
    auto to = resolve(attempt.url, head.location);
    if (!to) return make_failure(Fault::upstream, Code::bad_message, fmt::format("{} redirects to no usable URL", from));
    if (attempt.url.origin.is_tls() && !to->origin.is_tls()) return make_failure(Fault::policy, Code::denied, fmt::format("{} redirects to {}, which is not secure", from, to->origin.text()));
    attempt.url = *std::move(to);
    // For good: a way back to the registry's own host does not bring them back.
    attempt.authorization.clear();
    attempt.challenges = 0;
    return std::nullopt;
}

UpstreamFailure UpstreamsOfShard::failure_of_status(const UpstreamRequest& request, UpstreamState& upstream, const Attempt& attempt, const ResponseHead& head) {
    auto said = fmt::format("{} answered {}", attempt.url.origin.text(), head.status);
    auto wait = parse_retry_after(head.retry_after, wall_seconds(), std::chrono::duration_cast<seconds>(retry_after_max));
    UpstreamFailure failure;
    switch (head.status) {
        case 401: failure = make_failure(Fault::upstream, Code::unauthorized, said, 401); break;
        case 403: case 451: failure = make_failure(Fault::upstream, Code::denied, said, head.status); break;
        case 404: case 410: failure = make_failure(Fault::upstream, Code::not_found, said, head.status); break;
        case 429: {
            failure = make_failure(Fault::upstream, Code::too_many_requests, said, 429);
            auto pause = wait ? Duration(*wait) : pause_without_retry_after;
            upstream.credentials[table_.index_of(request.credential)].pause_until_ns.store((loop_.time() + pause).ns, std::memory_order_relaxed);
            failure.retry_after = pause;
            break;
        }
        default: failure = make_failure(Fault::upstream, Code::bad_status, said, head.status);
    }
    if (wait) failure.retry_after = *wait;
    return failure;
}

// ---- life

void UpstreamsOfShard::interrupt() noexcept {
    stopping_ = true;
    pool_.interrupt();
}

Task<void> UpstreamsOfShard::close() { co_await pool_.close(); }

}  // namespace entrepot
