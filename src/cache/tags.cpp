#include "entrepot/cache/tags.h"

#include "entrepot/base/log.h"
#include "entrepot/base/random.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t pauses_max = 16384;
constexpr Duration stale_log_interval = seconds(1);

std::string key_of(const Source& source, const std::string& tag) {
    return fmt::format("{}\n{}:{}", source.scope(), source.ledger_name, tag);
}

/// Nine to ten tenths of the time that the rule gives, always the same for one tag: what came together does not grow old together.
Duration life_of(const std::string& key, Duration tag_ttl) noexcept {
    constexpr int steps = 1024;
    return tag_ttl - tag_ttl / (10 * steps) * static_cast<std::int64_t>(std::hash<std::string>{}(key) % steps);
}

/// Up to a quarter longer.
Duration spread(Duration pause) noexcept {
    return pause + Duration(static_cast<std::int64_t>(random_bits() % static_cast<std::uint64_t>(pause.count() / 4 + 1)));
}

}  // namespace

std::string_view name_of(Served served) noexcept {
    switch (served) {
        case Served::hit: return "hit";
        case Served::follow: return "follow";
        case Served::fetch: return "fetch";
        case Served::revalidated: return "revalidated";
        case Served::stale: return "stale";
        case Served::bypass: return "bypass";
    }
    return "hit";
}

bool lets_stale_through(const Error& error) noexcept {
    switch (error.code) {
        case Code::not_found:
        case Code::unauthorized:
        case Code::denied: return false;
        default: return true;
    }
}

bool lets_stale_through(const Error& error, const Source& source) noexcept {
    if (error.code == Code::not_found) return source.stale_if_missing;
    if (error.code == Code::unauthorized || error.code == Code::denied) return source.stale_if_denied;
    return lets_stale_through(error);
}

Task<Fetched<TagAnswer>> Tags::resolve(Source source, std::string tag) {
    auto key = key_of(source, tag);
    auto known = tools_.store.ledger().find_tag(source.ledger_name, tag);
    if (known && !tools_.store.ledger().granted(source.scope(), source.ledger_name, known->digest)) known.reset();
    if (known) {
        auto age = seconds(wall_seconds() - known->checked);
        // Checked in the future: the clock was wrong, then or now. Upstream tells.
        auto life = life_of(key, source.tag_ttl);
        if (age >= Duration::zero() && age < life) {
            TagAnswer answer;
            answer.record = *known;
            answer.fresh_for = life - age;
            co_return answer;
        }
        auto pause = pause_until_.find(key);
        if (pause != pause_until_.end() && Loop::current().time() < pause->second) {
            co_return stale_answer(*known, pause->second - Loop::current().time());
        }
    } else if (auto* missing = find_missing(key)) {
        co_return *missing;
    }

    auto running = refreshing_.find(key);
    auto shared = running == refreshing_.end() ? nullptr : running->second;
    if (!shared && known && !tools_.upstreams.spares_refresh(*source.upstream, source.credential.get())) {
        co_return after_failure(
            key, *known,
            upstream_failure(Fault::upstream, Code::too_many_requests,
                             "next to nothing is left of the rate limit of " + source.upstream->login_server));
    }
    if (!shared) {
        shared = std::make_shared<Refresh>();
        refreshing_.emplace(key, shared);
        shared->started = Loop::current().time();
        background_.start(refresh(source, tag, key, known, shared));
    }
    // Counted from the question, not from each asker: while an upstream is mute only those of the first second wait.
    auto deadline = known ? shared->started + revalidation_wait : Instant::never();
    while (!shared->outcome) {
        bool notified = co_await shared->ended.wait(deadline);
        if (!notified) co_return stale_answer(*known, Duration(0));
    }
    co_return *shared->outcome;
}

Task<void> Tags::refresh(Source source, std::string tag, std::string key, std::optional<TagRecord> known,
                         std::shared_ptr<Refresh> shared) {
    auto answer = co_await ask_in_turn(source, tag, known, shared->started + turn_wait);
    std::vector<LedgerChange> changes;
    std::optional<ManifestContent> fetched;
    if (answer) {
        pause_until_.erase(key);
        missing_.erase(key);
        changes.push_back(PutTag{source.ledger_name, tag, answer->record});
        fetched = answer->fetched;
    } else if (lets_stale_through(answer.error().error, source)) {
        if (known) answer = after_failure(key, *known, answer.error());
    } else if (answer.error().error.code == Code::not_found) {
        remember_missing(key, answer.error());
        if (known) changes.push_back(RemoveTag{source.ledger_name, tag});
    }
    shared->outcome.emplace(std::move(answer));
    shared->ended.notify_all();
    // Nobody waits for the disk; but until the ledger knows, late comers find this answer here in place of asking upstream again.
    if (fetched) {
        auto keeping = keep_(source, *std::move(fetched));
        co_await keeping;
    }
    if (!changes.empty()) {
        auto written = co_await tools_.store.ledger().apply(std::move(changes));
        if (!written) log_warning("the ledger refuses tag {}:{}: {}", source.ledger_name, tag, name_of(written.error().code));
    }
    refreshing_.erase(key);
}

TagAnswer Tags::after_failure(const std::string& key, const TagRecord& known, const UpstreamFailure& failure) {
    if (pause_until_.size() >= pauses_max) pause_until_.clear();
    auto pause = spread(std::max<Duration>(retry_pause, failure.retry_after));
    pause_until_[key] = Loop::current().time() + pause;
    // One of many: a restart may find ten thousand tags old.
    auto time = Loop::current().time();
    if (time >= silent_until_) {
        log_warning("serving a stale tag ({}): {}", known.digest.text(), failure.why);
        silent_until_ = time + stale_log_interval;
    }
    return stale_answer(known, pause);
}

/// A tag that nobody knows is asked for at once; one that we have waits for its turn, as long as somebody waits for it.
Task<Fetched<TagAnswer>> Tags::ask_in_turn(const Source& source, const std::string& tag, const std::optional<TagRecord>& known,
                                           Instant deadline) {
    if (!known) co_return co_await ask(source, tag, known);
    auto& turns = turns_[source.upstream];
    if (!turns) turns = std::make_unique<Semaphore>(revalidations_max, revalidations_waiting_max);
    auto& queue = *turns;
    bool mine = co_await queue.acquire(deadline);
    if (!mine) co_return upstream_failure(Fault::capacity, Code::busy, "too many tags are old at once");
    auto answer = co_await ask(source, tag, known);
    queue.release();
    co_return answer;
}

/// Asks upstream: by HEAD when we have the manifest that it will most likely name, else for the manifest itself.
Task<Fetched<TagAnswer>> Tags::ask(const Source& source, const std::string& tag, const std::optional<TagRecord>& known) {
    TagAnswer answer;
    if (known) {
        std::optional<UpstreamFailure> failure;
        auto digest = co_await ask_head(source, tag, failure);
        if (failure) co_return *failure;
        if (digest && *digest == known->digest) {
            answer.record = *known;
            answer.record.checked = wall_seconds();
            answer.served = Served::revalidated;
            answer.fresh_for = life_of(key_of(source, tag), source.tag_ttl);
            co_return answer;
        }
    }
    auto content = co_await manifests_.fetch(source, tag);
    if (!content) co_return content.error();
    answer.record.digest = content->digest;
    answer.record.media_type = content->media_type;
    answer.record.size = content->size;
    answer.record.checked = wall_seconds();
    answer.served = Served::fetch;
    answer.fresh_for = life_of(key_of(source, tag), source.tag_ttl);
    answer.fetched = *std::move(content);
    co_return answer;
}

Task<std::optional<Digest>> Tags::ask_head(const Source& source, const std::string& tag,
                                           std::optional<UpstreamFailure>& failure) {
    UpstreamRequest request;
    request.upstream = source.upstream;
    request.credential = source.credential;
    request.kind = UpstreamKind::manifest_head;
    request.repository = source.repository;
    request.resource = "manifests/" + tag;
    request.head = true;
    auto answer = co_await tools_.upstreams.ask(std::move(request));
    if (!answer) {
        // Some registries know no HEAD (405): the manifest itself is asked for then.
        bool no_head = answer.error().error.detail == 405;
        if (!no_head) failure = answer.error();
        co_return std::nullopt;
    }
    auto exchange = *std::move(answer);
    auto digest = Digest::parse(exchange->docker_content_digest());
    co_await exchange->finish();
    co_return digest;
}

void Tags::remember_missing(const std::string& key, const UpstreamFailure& failure) {
    if (missing_.size() >= missing_max) missing_.clear();
    missing_[key] = Missing{failure, Loop::current().time() + missing_kept};
}

const UpstreamFailure* Tags::find_missing(const std::string& key) {
    auto found = missing_.find(key);
    if (found == missing_.end()) return nullptr;
    if (found->second.until > Loop::current().time()) return &found->second.failure;
    missing_.erase(found);
    return nullptr;
}

TagAnswer Tags::stale_answer(const TagRecord& record, Duration fresh_for) {
    TagAnswer answer;
    answer.record = record;
    answer.served = Served::stale;
    answer.fresh_for = fresh_for;
    return answer;
}

Task<void> Tags::close() { co_await background_.close(); }

}  // namespace entrepot
