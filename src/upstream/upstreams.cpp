#include "upstream/upstreams.h"

#include "entrepot/base/random.h"
#include "entrepot/http/date.h"
#include "upstream/exchange.h"
#include "upstream/request.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr int redirects_max = 5;
constexpr int challenges_answered_max =
    2;                         // per hop and login: one for a token or secret that was refused, one for its successor
constexpr int rounds_max = 3;  // through the endpoints
constexpr Duration rounds_time_max =
    seconds(25);  // none begins later: clients wait 30 s for a head, and one that was never answered is asked anew
constexpr Duration retry_pause = milliseconds(100);  // doubled each time
constexpr Duration slot_wait_max = seconds(60);
constexpr Duration pause_default = seconds(10);  // after a 429 that does not say how long
constexpr Duration pause_min = seconds(1);       // whatever it says: nobody who is told to wait comes back at once

bool is_success(int status) { return status == 200 || status == 206; }
bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

/// A scope that /v2/ names is a placeholder when it speaks of a repository.
void drop_placeholders(std::vector<Challenge>& challenges) {
    for (auto& challenge : challenges) {
        std::erase_if(challenge.params,
                      [](auto& param) { return param.first == "scope" && param.second.starts_with("repository:"); });
    }
}

/// A login that we do not give.
UpstreamFailure withheld(std::string_view why) { return make_failure(Fault::policy, Code::unauthorized, why, 401); }

int answers_max(const UpstreamRequest& request) {
    auto logins = request.credential ? request.credential->state().logins.count() : 1;
    return challenges_answered_max * static_cast<int>(std::max<std::size_t>(logins, 1));
}

/// While the circuit is open: what the last answer was, if there was one, since a rule may tell an upstream that is gone from one that answers 500.
UpstreamFailure not_asked(const UpstreamState& upstream, std::string_view why) {
    auto status = upstream.circuit.last_status();
    bool answered = status >= 500 && status <= 599;
    auto failure = make_failure(Fault::upstream, answered ? Code::bad_status : Code::refused, why, answered ? status : 0);
    failure.retry_after = Circuit::probe_interval;
    return failure;
}

UpstreamFailure stopping() { return make_failure(Fault::shutdown, Code::stopping, "the server is stopping"); }

}  // namespace

struct UpstreamsOfShard::Attempt {
    Url url;
    Authorization authorization;
    Instant started{};
    std::string last_order;                    // of the token that was asked for last
    std::optional<LoginWalk> walk;             // through the logins for Basic
    std::optional<UpstreamFailure> forbidden;  // what the registry said to walk's first login; the second is being tried
    int redirects = 0;
    int challenges = 0;  // on this hop
    bool started_secure = false;
    bool left_home = false;  // a redirect led away from the endpoints: whatever follows, no credential is used any more
};

struct UpstreamsOfShard::Verdict {
    int status = 0;
    std::vector<Challenge> challenges;
    std::string location;
    std::optional<seconds> retry_after;

    explicit Verdict(const ResponseHead& head)
        : status(head.status), location(head.location), retry_after(obeyed_retry_after(head.retry_after)) {
        if (status == 401) challenges = parse_challenges(head.www_authenticate);
    }
};

std::unique_ptr<Upstreams> Upstreams::make(UpstreamTable& table) {
    return std::make_unique<UpstreamsOfShard>(static_cast<UpstreamTableOfProcess&>(table));
}

UpstreamsOfShard::UpstreamsOfShard(UpstreamTableOfProcess& table)
    : table_(table), loop_(Loop::current()), pool_(table), logins_() {
    table_.add_member(loop_, *this);
    table_.prepare_tls();
}

UpstreamsOfShard::~UpstreamsOfShard() { table_.remove_member(*this); }

// ---- asking

Task<UpstreamAnswer> UpstreamsOfShard::ask(UpstreamRequest request) {
    ASSERT(request.upstream);
    auto& upstream = table_.state_of(*request.upstream);
    if (auto refused = refusal(request, upstream)) co_return *std::move(refused);
    auto& slots = pool_.slots(upstream);
    Askers alone(request.client);
    auto& askers = request.askers ? *request.askers : alone;
    auto place = co_await slots.acquire(askers, loop_.time() + slot_wait_max);
    if (place.admission != FairSlots::Admission::admitted) {
        co_return make_failure(Fault::capacity, Code::busy,
                               fmt::format("too many requests wait for {}", upstream.spec.login_server));
    }
    request.client = place.client;
    auto answer = co_await ask_admitted(request, upstream);
    if (!answer) slots.release(place.client);  // else the exchange holds the slot until it is finished
    if (!answer && stopping_) co_return stopping();
    co_return answer;
}

/// Why nothing is sent at all.
std::optional<UpstreamFailure> UpstreamsOfShard::refusal(const UpstreamRequest& request, UpstreamState& upstream) const {
    if (stopping_) return stopping();
    auto& login_server = upstream.spec.login_server;
    if (request.credential && request.credential->login_server() != login_server) {
        return withheld(fmt::format("credential set '{}' belongs to {}, not to {}", request.credential->name(),
                                    request.credential->login_server(), login_server));
    }
    auto pause_left = upstream.limit_of(request.credential.get()).pause_left(loop_.time());
    if (pause_left > Duration::zero()) {
        auto failure = make_failure(Fault::upstream, Code::too_many_requests,
                                    fmt::format("{} answered 429 before and asked us to wait", login_server), 429);
        failure.retry_after = pause_left;
        return failure;
    }
    if (upstream.circuit.may_enter(loop_.time())) return std::nullopt;
    return not_asked(upstream, fmt::format("{} failed {} times in a row; it is probed once a second", login_server,
                                           Circuit::failures_to_open));
}

/// With a slot. The world may have moved while we waited for it.
Task<UpstreamAnswer> UpstreamsOfShard::ask_admitted(const UpstreamRequest& request, UpstreamState& upstream) {
    if (auto refused = refusal(request, upstream)) co_return *std::move(refused);
    switch (upstream.circuit.enter(loop_.time())) {
        case Circuit::Pass::free: co_return co_await ask_with_retries(request, upstream);
        case Circuit::Pass::probe: co_return co_await ask_each_endpoint(request, upstream);
        case Circuit::Pass::refused: break;
    }
    co_return not_asked(upstream, fmt::format("{} is being probed", upstream.spec.login_server));
}

Task<UpstreamAnswer> UpstreamsOfShard::ask_with_retries(const UpstreamRequest& request, UpstreamState& upstream) {
    upstream.budget.earn(loop_.time());
    auto last_start = loop_.time() + rounds_time_max;
    for (int round = 1;; ++round) {
        auto answer = co_await ask_each_endpoint(request, upstream);
        if (answer || stopping_ || round == rounds_max || !may_be_retried(answer.error())) co_return answer;
        auto time = loop_.time();
        if (time >= last_start || !upstream.circuit.may_enter(time) || !upstream.budget.spend(time)) co_return answer;
        // Full jitter, so that a recovering upstream is not met by a wave.
        auto pause_max = static_cast<std::uint64_t>(retry_pause.count()) << (round - 1);
        auto until = time + Duration(random_bits() % pause_max);
        bool stopped = co_await stopped_.wait(until);
        if (stopped) co_return answer;
    }
}

/// Asks one endpoint after another until one has an answer.
Task<UpstreamAnswer> UpstreamsOfShard::ask_each_endpoint(const UpstreamRequest& request, UpstreamState& upstream) {
    auto order = upstream.endpoint_order(loop_.time());
    for (std::size_t i = 0;; ++i) {
        auto answer = co_await attempt(request, upstream, order[i]);
        auto health = answer ? Health::good : health_of(answer.error());
        if (health == Health::good) upstream.circuit.succeeded();
        if (answer) co_return answer;
        if (stopping_) co_return stopping();
        if (health == Health::bad) upstream.avoid_endpoint(order[i], loop_.time());
        bool is_last = i + 1 == order.size() || !another_endpoint_may_help(answer.error());
        if (is_last && health == Health::bad) upstream.circuit.failed(loop_.time(), answer.error().error.detail);
        if (is_last) co_return answer;
    }
}

/// One try at one endpoint: challenges are answered and redirects followed until a status decides.
Task<UpstreamAnswer> UpstreamsOfShard::attempt(const UpstreamRequest& request, UpstreamState& upstream, std::size_t endpoint) {
    Attempt attempt;
    attempt.url = url_at(upstream.endpoints[endpoint], request);
    attempt.started = loop_.time();
    attempt.started_secure = attempt.url.origin.is_tls();
    attempt.authorization = logins_.find(request, attempt.started);
    for (;;) {
        auto sent = co_await send(request, upstream, attempt);
        if (!sent) co_return sent.error();
        auto connection = *std::move(sent);
        note_answer(request, upstream, attempt, connection->head().status);
        auto unusable = is_success(connection->head().status) ? why_unusable(request, connection->head()) : std::string();
        if (is_success(connection->head().status) && unusable.empty()) {
            co_return std::unique_ptr<UpstreamExchange>(
                std::make_unique<ExchangeOfUpstream>(pool_, request.client, upstream, endpoint, std::move(connection)));
        }
        Verdict verdict(connection->head());
        co_await pool_.give_back(std::move(connection));
        if (!unusable.empty())
            co_return make_failure(Fault::upstream, Code::bad_message,
                                   fmt::format("{} sent {}", attempt.url.origin.text(), unusable));
        auto failure = co_await react(request, upstream, attempt, verdict);
        if (failure) co_return *std::move(failure);
    }
}

/// Gets a connection, sends, and waits for the head. An idle connection that the peer closed meanwhile is replaced once by a
/// new one.
Task<Result<UpstreamsOfShard::Connection, UpstreamFailure>> UpstreamsOfShard::send(const UpstreamRequest& request,
                                                                                   UpstreamState& upstream,
                                                                                   const Attempt& attempt) {
    auto& origin = attempt.url.origin;
    for (bool fresh = false;; fresh = true) {
        auto lease = co_await pool_.open(upstream, origin, fresh, loop_.time() + table_.options().connect_timeout);
        if (!lease) {
            upstream.note_no_answer(request.kind);
            co_return lease.error();
        }
        auto connection = std::move(lease->connection);
        auto head = request_head(request, attempt.url, attempt.authorization.header);
        auto answered =
            co_await connection->ask(std::move(head), request.head, loop_.time() + table_.options().first_byte_timeout);
        if (answered) {
            upstream.note(request.kind, connection->head().status);
            if (upstream.owns(origin))
                upstream.note_rate_limit(request.kind, upstream.limit_of(request.credential.get()), connection->head(),
                                         loop_.time());
            co_return connection;
        }
        bool was_stale = lease->reused && connection->silent() && answered.error().code != Code::timeout;
        co_await pool_.give_back(std::move(connection));
        if (was_stale) continue;
        upstream.note_no_answer(request.kind);
        co_return make_failure(Fault::upstream, answered.error().code,
                               fmt::format("{} did not answer properly ({})", origin.text(), name_of(answered.error().code)));
    }
}

/// Nothing when the attempt may go on.
Task<std::optional<UpstreamFailure>> UpstreamsOfShard::react(const UpstreamRequest& request, UpstreamState& upstream,
                                                             Attempt& attempt, Verdict& verdict) {
    bool other_login = may_try_other_login(request, attempt, verdict);
    if ((verdict.status == 401 || other_login) && attempt.challenges < answers_max(request)) {
        ++attempt.challenges;
        if (!other_login) co_return co_await authorize(request, upstream, attempt, verdict);
        attempt.forbidden = failure_of(request, upstream, attempt.url.origin, verdict.status, verdict.retry_after);
        auto other = co_await basic(request.credential, 1 - attempt.authorization.login, {});
        if (!other) co_return *attempt.forbidden;
        attempt.authorization = *other;
        co_return std::nullopt;
    }
    if (verdict.status == 401) logins_.forget(request);
    if (is_redirect(verdict.status)) co_return follow_redirect(upstream, attempt, verdict);
    co_return failure_of(request, upstream, attempt.url.origin, verdict.status, verdict.retry_after);
}

// ---- credentials

/// Answers a 401. Credentials are used only where they belong: Basic on an endpoint of the upstream, tokens from a realm that
/// the upstream's rules allow. Any other host that asks (the target of a redirect) may give us an anonymous token.
Task<std::optional<UpstreamFailure>> UpstreamsOfShard::authorize(const UpstreamRequest& request, UpstreamState& upstream,
                                                                 Attempt& attempt, Verdict& verdict) {
    bool at_home = !attempt.left_home && upstream.owns(attempt.url.origin);
    // Some registries (gcr.io) name their challenge on /v2/ only.
    if (verdict.challenges.empty() && at_home)
        verdict.challenges = co_await ask_for_challenges(request, upstream, attempt.url.origin);
    auto* bearer = find_challenge(verdict.challenges, "bearer");
    auto* basic = find_challenge(verdict.challenges, "basic");
    auto refused = std::exchange(attempt.authorization, Authorization());
    AuthorizationAnswer answer = failure_of(request, upstream, attempt.url.origin, verdict.status, verdict.retry_after);
    if (bearer) {
        answer = co_await token_for(*bearer, request, upstream, attempt, refused);
    } else if (basic && at_home && request.credential && !request.credential->spec().logins.empty()) {
        answer = co_await basic_for(request, attempt, refused);
    }
    if (at_home && answer) logins_.remember(request, *answer);
    if (at_home && !answer) logins_.forget(request);
    if (!answer) co_return answer.error();
    attempt.authorization = *answer;
    co_return std::nullopt;
}

/// A login for Basic in place of the one that was refused: the same with a secret that changed meanwhile, or else the other one.
Task<AuthorizationAnswer> UpstreamsOfShard::basic_for(const UpstreamRequest& request, Attempt& attempt,
                                                      const Authorization& refused) {
    auto& credential = request.credential;
    auto& record = credential->state().logins;
    auto refused_header = refused.is_basic() ? refused.header : std::string();
    if (!attempt.walk) attempt.walk.emplace(credential, refused.is_basic() ? refused.login : record.first(loop_.time()));
    for (;;) {
        auto answer = co_await basic(credential, attempt.walk->login(), refused_header);
        if (answer || !is_about_login(answer.error())) co_return answer;
        if (!attempt.walk->failed(answer.error(), loop_.time())) co_return attempt.walk->failure();
        wipe(refused_header);
    }
}

/// A registry that asks for Basic may say 403 to a login that it no longer takes. It may also mean the repository: that shows when the other login is told the
/// same.
bool UpstreamsOfShard::may_try_other_login(const UpstreamRequest& request, const Attempt& attempt, const Verdict& verdict) const {
    return verdict.status == 403 && !attempt.forbidden && attempt.authorization.is_basic() && request.credential &&
           request.credential->spec().logins.size() > 1;
}

/// What the registry's answer says about the login that it was given.
void UpstreamsOfShard::note_answer(const UpstreamRequest& request, UpstreamState& upstream, Attempt& attempt, int status) {
    bool at_home = !attempt.left_home && upstream.owns(attempt.url.origin);
    bool is_taken = at_home && request.credential && attempt.authorization.is_basic() && status < 400;
    if (!is_taken) return;
    auto& record = request.credential->state().logins;
    record.note_good(attempt.authorization.login, loop_.time());
    if (!attempt.forbidden) return;
    record.note_bad(1 - attempt.authorization.login, *attempt.forbidden, loop_.time());
    attempt.forbidden.reset();
    logins_.remember(request, attempt.authorization);
}

Task<AuthorizationAnswer> UpstreamsOfShard::basic(CredentialPointer credential, std::size_t login, std::string refused) {
    auto known = logins_.find_basic(*credential, login, loop_.time());
    if (known && known->header != refused) co_return *known;
    auto& home = table_.home();
    auto life = table_.options().secret_life;
    auto work = [&] { return home.passwords_.get(credential, login, refused, life); };
    AuthorizationAnswer answer = Authorization();
    if (&home == this) answer = co_await passwords_.get(credential, login, refused, life);
    else answer = co_await run_on(table_.home_loop(), work);
    wipe(refused);
    if (answer) logins_.keep_basic(credential, *answer);
    co_return answer;
}

/// A token by the challenge of attempt.url's host, in place of the one that was refused.
Task<AuthorizationAnswer> UpstreamsOfShard::token_for(const Challenge& challenge, const UpstreamRequest& request,
                                                      UpstreamState& upstream, Attempt& attempt, const Authorization& refused) {
    auto order = token_order(challenge, request, upstream, attempt, pull_scope(request, attempt.url));
    if (!order) co_return order.error();
    auto key = order->key();
    bool is_repeated = std::exchange(attempt.last_order, key) == key;
    // A token that was made for this very request will not get better by being made again.
    if (is_repeated && refused.made >= attempt.started) {
        co_return make_failure(
            Fault::upstream, Code::unauthorized,
            fmt::format("{} refuses the token that {} gave", attempt.url.origin.text(), order->url.origin.text()), 401);
    }
    co_return co_await token(*order, refused.header);
}

/// What to ask of the realm that a challenge names, if it may be asked at all.
Result<TokenOrder, UpstreamFailure> UpstreamsOfShard::token_order(const Challenge& challenge, const UpstreamRequest& request,
                                                                  const UpstreamState& upstream, const Attempt& attempt,
                                                                  std::string_view scope) const {
    bool at_home = !attempt.left_home && upstream.owns(attempt.url.origin);
    auto asker = attempt.url.origin.text();
    auto url = token_url(challenge, scope);
    if (!url) return withheld(fmt::format("{} names no usable token realm", asker));
    auto realm = url->origin;
    if (attempt.started_secure && !realm.is_tls())
        return withheld(fmt::format("{} names the token realm {}, which is not secure", asker, realm.text()));
    TokenOrder order;
    order.upstream = request.upstream;
    order.credential = at_home ? request.credential : nullptr;
    order.url = *std::move(url);
    if (order.credential && !upstream.may_issue_tokens(realm)) {
        return withheld(
            fmt::format("{} names the token realm {}, which may not see the credentials of {}; add it to the "
                        "upstream's realms if that is meant",
                        asker, realm.text(), upstream.spec.login_server));
    }
    return order;
}

Task<AuthorizationAnswer> UpstreamsOfShard::token(const TokenOrder& order, std::string refused) {
    auto& home = table_.home();
    if (&home == this) co_return co_await tokens_.get(order, std::move(refused));
    auto work = [&] { return home.tokens_.get(order, refused); };
    auto answer = co_await run_on(table_.home_loop(), work);
    co_return answer;
}

/// The challenges of an endpoint's /v2/.
Task<std::vector<Challenge>> UpstreamsOfShard::ask_for_challenges(const UpstreamRequest& request, UpstreamState& upstream,
                                                                  const Origin& endpoint) {
    UpstreamRequest question;
    question.upstream = request.upstream;
    question.kind = UpstreamKind::token;
    Attempt attempt;
    attempt.url.origin = endpoint;
    attempt.url.path = "/v2/";
    auto sent = co_await send(question, upstream, attempt);
    if (!sent) co_return std::vector<Challenge>();
    auto connection = *std::move(sent);
    Verdict verdict(connection->head());
    co_await pool_.give_back(std::move(connection));
    drop_placeholders(verdict.challenges);
    co_return std::move(verdict.challenges);
}

/// A realm that redirects would lead our login elsewhere: it is not followed.
Task<DocumentAnswer> UpstreamsOfShard::ask_realm(const TokenOrder& order, DocumentRequest request) {
    auto& upstream = table_.state_of(*order.upstream);
    auto origin = request.url.origin;
    auto document = co_await documents_.ask(upstream, std::move(request));
    if (!document) {
        upstream.note_no_answer(UpstreamKind::token);
        co_return document;
    }
    upstream.note(UpstreamKind::token, document->status);
    if (document->status == 200) co_return document;
    UpstreamRequest question;
    question.upstream = order.upstream;
    question.credential = order.credential;
    question.kind = UpstreamKind::token;
    co_return failure_of(question, upstream, origin, document->status, document->retry_after);
}

// ---- checking

Task<std::vector<CredentialHealth>> UpstreamsOfShard::check(const UpstreamSpec& upstream, CredentialPointer credential) {
    auto& home = table_.home();
    if (&home == this) co_return co_await check_here(upstream, credential);
    auto work = [&] { return home.check_here(upstream, credential); };
    auto healths = co_await run_on(table_.home_loop(), work);
    co_return healths;
}

Task<std::vector<CredentialHealth>> UpstreamsOfShard::check_here(const UpstreamSpec& upstream, CredentialPointer credential) {
    auto& state = table_.state_of(upstream);
    auto& record = credential->state().logins;
    UpstreamRequest request;
    request.upstream = &upstream;
    request.credential = credential;
    request.kind = UpstreamKind::token;
    for (std::size_t login = 0; login < record.count() && !stopping_; ++login) {
        bool is_asked = true;
        passwords_.ask_anew(*credential, login);  // somebody may have just mended what the vault refused
        auto failure = co_await check_login(request, state, login, is_asked);
        if (!failure) record.note_good(login, loop_.time());
        else if (is_asked && is_about_login(*failure)) record.note_bad(login, *failure, loop_.time());
        else record.note_unknown(login, *failure);
    }
    co_return record.health();
}

/// `is_asked` is false when the registry wants no login at all.
Task<std::optional<UpstreamFailure>> UpstreamsOfShard::check_login(const UpstreamRequest& request, UpstreamState& upstream,
                                                                   std::size_t login, bool& is_asked) {
    Attempt attempt;
    attempt.started = loop_.time();
    attempt.url.path = "/v2/";
    std::optional<UpstreamFailure> failure;
    for (auto endpoint : upstream.endpoint_order(loop_.time())) {
        attempt.url.origin = upstream.endpoints[endpoint];
        attempt.started_secure = attempt.url.origin.is_tls();
        auto answer = co_await documents_.ask(upstream, DocumentRequest(attempt.url));
        if (!answer) {
            failure = answer.error();
            continue;
        }
        drop_placeholders(answer->challenges);  // a token without a scope is enough to see who takes us
        auto* bearer = find_challenge(answer->challenges, "bearer");
        auto* basic_challenge = find_challenge(answer->challenges, "basic");
        is_asked = bearer || basic_challenge;
        if (!is_asked)
            co_return make_failure(
                Fault::upstream, Code::bad_status,
                fmt::format("{} answered {} and asked for no login", attempt.url.origin.text(), answer->status), answer->status);
        if (!bearer) co_return co_await try_basic(request, upstream, login, attempt.url);
        auto order = token_order(*bearer, request, upstream, attempt, {});
        if (!order) co_return order.error();
        auto token = co_await tokens_.ask_as(*order, login);
        if (!token) co_return token.error();
        co_return std::nullopt;
    }
    co_return failure;
}

/// The registry itself judges the login; asked again when its secret changed meanwhile.
Task<std::optional<UpstreamFailure>> UpstreamsOfShard::try_basic(const UpstreamRequest& request, UpstreamState& upstream,
                                                                 std::size_t login, Url url) {
    if (request.credential->spec().identity)
        co_return make_failure(Fault::upstream, Code::unauthorized, fmt::format("{} takes no identities", url.origin.text()),
                               401);
    std::string refused;
    for (;;) {
        auto known = co_await basic(request.credential, login, refused);
        if (!known) co_return known.error();
        DocumentRequest question(url);
        question.add_field("Authorization", known->header);
        auto answer = co_await documents_.ask(upstream, std::move(question));
        if (!answer) co_return answer.error();
        if (answer->status == 401 && refused.empty()) {
            refused = known->header;
            continue;
        }
        wipe(refused);
        if (answer->status < 400) co_return std::nullopt;
        co_return failure_of(request, upstream, url.origin, answer->status, answer->retry_after);
    }
}

// ---- statuses

std::optional<UpstreamFailure> UpstreamsOfShard::follow_redirect(const UpstreamState& upstream, Attempt& attempt,
                                                                 const Verdict& verdict) const {
    auto from = attempt.url.origin.text();
    if (++attempt.redirects > redirects_max) {
        return make_failure(Fault::upstream, Code::loop,
                            fmt::format("{} redirects more than {} times", upstream.spec.login_server, redirects_max));
    }
    auto to = verdict.location.empty() ? std::nullopt : resolve(attempt.url, verdict.location);
    if (!to) return make_failure(Fault::upstream, Code::bad_message, fmt::format("{} redirects to no usable URL", from));
    if (attempt.url.origin.is_tls() && !to->origin.is_tls()) {
        return make_failure(Fault::policy, Code::unsupported,
                            fmt::format("{} redirects to {}, which is not secure", from, to->origin.text()));
    }
    attempt.url = *std::move(to);
    attempt.left_home |= !upstream.owns(attempt.url.origin);
    attempt.authorization = Authorization();
    attempt.challenges = 0;
    attempt.last_order.clear();
    return std::nullopt;
}

UpstreamFailure UpstreamsOfShard::failure_of(const UpstreamRequest& request, UpstreamState& upstream, const Origin& origin,
                                             int status, std::optional<seconds> retry_after) const {
    auto said = fmt::format("{} answered {}", origin.text(), status);
    bool is_token = request.kind == UpstreamKind::token;
    auto code = Code::bad_status;
    // "Not found" at a token realm says nothing about the image.
    switch (status) {
        case 401: code = Code::unauthorized; break;
        case 403:
        case 451: code = Code::denied; break;
        case 404:
        case 410: code = is_token ? Code::bad_status : Code::not_found; break;
        case 429: code = Code::too_many_requests; break;
        default: break;
    }
    auto failure = make_failure(Fault::upstream, code, said, status);
    if (retry_after) failure.retry_after = *retry_after;
    if (status != 429) return failure;
    failure.retry_after = retry_after ? std::max<Duration>(*retry_after, pause_min) : pause_default;
    // A store behind a redirect speaks for itself only.
    if (is_token || upstream.owns(origin)) upstream.limit_of(request.credential.get()).pause(loop_.time() + failure.retry_after);
    return failure;
}

// ---- life

void UpstreamsOfShard::distrust(const UpstreamSpec& upstream, std::size_t endpoint) noexcept {
    auto& state = table_.state_of(upstream);
    if (endpoint < state.endpoints.size()) state.avoid_endpoint(endpoint, loop_.time());
}

bool UpstreamsOfShard::spares_refresh(const UpstreamSpec& upstream, const Credential* credential) noexcept {
    return table_.state_of(upstream).limit_of(credential).spares_refresh(loop_.time());
}

void UpstreamsOfShard::interrupt() noexcept {
    stopping_ = true;
    stopped_.notify_all();
    pool_.interrupt();
}

Task<void> UpstreamsOfShard::close() {
    stopping_ = true;
    co_await pool_.close();
}

}  // namespace entrepot
