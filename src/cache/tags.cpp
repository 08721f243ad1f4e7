#include "entrepot/cache/tags.h"

#include "entrepot/base/log.h"
#include "entrepot/base/random.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t pauses_max = 16384;
constexpr Duration stale_log_interval = seconds(1);
constexpr Duration writing_check_interval = milliseconds(1);

std::string key_of(const Source& source, const std::string& tag) {
    return fmt::format("{}\n{}:{}", source.scope(), source.ledger_name, tag);
}

/// Nine to ten tenths of the time that the rule gives, always the same for one tag: what came together does not grow old together.
Duration life_of(const std::string& key, Duration tag_ttl) noexcept {
    constexpr int steps = 1024;
    return tag_ttl - tag_ttl / (10 * steps) * static_cast<std::int64_t>(std::hash<std::string>{}(key) % steps);
}

/// Since upstream last confirmed the tag; below zero when the clock was wrong, then or now.
Duration age_of(const TagRecord& record) noexcept { return seconds(wall_seconds() - record.checked); }

/// Up to a quarter longer.
Duration spread(Duration pause) noexcept {
    return pause + Duration(static_cast<std::int64_t>(random_bits() % static_cast<std::uint64_t>(pause.count() / 4 + 1)));
}

}  // namespace

Duration tag_life(const Source& source, const std::string& tag) noexcept { return life_of(key_of(source, tag), source.tag_ttl); }

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

std::optional<TagRecord> Tags::find_known(const Source& source, const std::string& tag) const {
    auto& ledger = tools_.store.ledger();
    auto known = ledger.find_tag(source.ledger_name, tag);
    if (known && !ledger.granted(source.scope(), source.ledger_name, known->digest)) known.reset();
    return known;
}

Task<Fetched<TagAnswer>> Tags::resolve(Source source, std::string tag) {
    auto key = key_of(source, tag);
    auto known = find_known(source, tag);
    auto life = life_of(key, source.tag_ttl);
    if (known) {
        // Checked in the future: the clock was wrong, then or now. Upstream tells.
        auto age = age_of(*known);
        if (age >= Duration::zero() && age < life) {
            TagAnswer answer;
            answer.record = *known;
            answer.fresh_for = life - age;
            co_return answer;
        }
        if (auto stale = answer_in_pause(source, key, *known)) co_return *stale;
    } else if (auto* missing = find_missing(key)) {
        co_return *missing;
    }

    auto running = refreshing_.find(key);
    auto shared = running == refreshing_.end() ? nullptr : running->second;
    if (!shared && known && !tools_.upstreams.spares_refresh(*source.upstream, source.credential.get())) {
        auto spared = upstream_failure(Fault::upstream, Code::too_many_requests,
                                       "next to nothing is left of the rate limit of " + source.upstream->login_server);
        if (auto stale = after_failure(source, key, *known, spared)) co_return *stale;
    }
    if (shared) shared->askers->join(source.client);
    else shared = begin_refresh(source, tag, key, known, turn_wait);
    // Counted from the question, not from each asker: while an upstream is mute only those of the first second wait.
    bool may_be_stale = known && stale_left(source.stale, FailureClass::network, age_of(*known)) > Duration::zero();
    auto deadline = may_be_stale ? shared->started + revalidation_wait : Instant::never();
    while (!shared->outcome) {
        bool notified = co_await shared->ended.wait(deadline);
        if (!notified) co_return stale_answer(*known, Duration(0));
    }
    auto answer = *shared->outcome;
    if (answer) answer->fresh_for = life;  // by this asker's rule, whoever began
    else if (known) {
        if (auto stale = after_failure(source, key, *known, answer.error())) co_return *stale;
    }
    co_return answer;
}

Task<Fetched<TagAnswer>> Tags::refresh_now(Source source, std::string tag) {
    auto key = key_of(source, tag);
    auto running = refreshing_.find(key);
    // One that is answered and only being written down was asked before this was.
    while (running != refreshing_.end() && running->second->outcome) {
        co_await Sleep(writing_check_interval);
        running = refreshing_.find(key);
    }
    auto shared = running == refreshing_.end() ? nullptr : running->second;
    if (shared) shared->askers->join(source.client);
    else shared = begin_refresh(source, tag, key, find_known(source, tag), refresh_turn_wait);
    while (!shared->outcome) (void)co_await shared->ended.wait();
    // Until it is written down, those who find the old answer young enough take that.
    auto is_being_written = [&] {
        auto now_running = refreshing_.find(key);
        return now_running != refreshing_.end() && now_running->second == shared;
    };
    while (is_being_written()) co_await Sleep(writing_check_interval);
    co_return *shared->outcome;
}

std::shared_ptr<Tags::Refresh> Tags::begin_refresh(const Source& source, const std::string& tag, const std::string& key,
                                                   std::optional<TagRecord> known, Duration turn_wait_max) {
    auto shared = std::make_shared<Refresh>();
    shared->askers = std::make_shared<Askers>(source.client);
    refreshing_.emplace(key, shared);
    shared->started = Loop::current().time();
    shared->turn_until = shared->started + turn_wait_max;
    background_.start(refresh(source, tag, key, std::move(known), shared));
    return shared;
}

Task<void> Tags::refresh(Source source, std::string tag, std::string key, std::optional<TagRecord> known,
                         std::shared_ptr<Refresh> shared) {
    auto answer = co_await ask_in_turn(source, tag, known, *shared);
    std::vector<LedgerChange> changes;
    std::optional<ManifestContent> fetched;
    if (answer) {
        pauses_.erase(key);
        missing_.erase(key);
        changes.push_back(PutTag{source.ledger_name, tag, answer->record});
        fetched = answer->fetched;
    } else {
        // Said here as well: perhaps nobody waits for it any more.
        bool stays = known && after_failure(source, key, *known, answer.error());
        if (!stays && class_of(answer.error().error) == FailureClass::missing) {
            remember_missing(key, answer.error());
            if (known) changes.push_back(RemoveTag{source.ledger_name, tag});
        }
    }
    RecordsUnderWay::One under_way(tools_.records);
    shared->outcome.emplace(std::move(answer));
    shared->ended.notify_all();
    // Nobody waits for the disk; but until the ledger knows, late comers find this answer here in place of asking upstream again.
    if (fetched) {
        auto keeping = keep_(source, *std::move(fetched));
        co_await keeping;
    }
    if (!changes.empty()) {
        auto written = co_await tools_.store.ledger().apply(std::move(changes));
        if (!written && !told_by_disk(written.error()))
            log_warning("the ledger refuses tag {}:{}: {}", source.ledger_name, tag, name_of(written.error().code));
    }
    refreshing_.erase(key);
}

std::optional<TagAnswer> Tags::answer_in_pause(const Source& source, const std::string& key, const TagRecord& known) const {
    auto pause = pauses_.find(key);
    if (pause == pauses_.end()) return std::nullopt;
    auto pause_left = pause->second.until - Loop::current().time();
    auto left = stale_left(source.stale, pause->second.failure, age_of(known));
    if (pause_left <= Duration::zero() || left == Duration::zero()) return std::nullopt;
    return stale_answer(known, std::min(pause_left, left));
}

/// What the asker's rule makes of a failure; nothing when it is the answer as it is. The first who is served stale for it begins a pause, for all who may be.
std::optional<TagAnswer> Tags::after_failure(const Source& source, const std::string& key, const TagRecord& known,
                                             const UpstreamFailure& failure) {
    auto failed = class_of(failure.error);
    auto left = stale_left(source.stale, failed, age_of(known));
    if (left == Duration::zero()) return std::nullopt;
    if (auto paused = answer_in_pause(source, key, known)) return paused;
    if (pauses_.size() >= pauses_max) pauses_.clear();
    auto pause = spread(std::max<Duration>(retry_pause, failure.retry_after));
    pauses_[key] = Pause{Loop::current().time() + pause, failed};
    // One of many: a restart may find ten thousand tags old.
    auto time = Loop::current().time();
    if (time >= silent_until_) {
        log_warning("serving a stale tag ({}): {}", known.digest.text(), failure.why);
        silent_until_ = time + stale_log_interval;
    }
    return stale_answer(known, std::min(pause, left));
}

/// A tag that nobody knows is asked for at once; one that we have waits for its turn, as long as somebody waits for it.
Task<Fetched<TagAnswer>> Tags::ask_in_turn(const Source& source, const std::string& tag, const std::optional<TagRecord>& known,
                                           const Refresh& asked) {
    if (!known) co_return co_await ask(source, tag, known, asked.askers);
    auto& turns = turns_[source.upstream];
    if (!turns) turns = std::make_unique<FairSlots>(revalidations_max, revalidations_waiting_max, turn_counters_);
    auto& queue = *turns;
    auto place = co_await queue.acquire(*asked.askers, asked.turn_until);
    if (place.admission != FairSlots::Admission::admitted)
        co_return upstream_failure(Fault::capacity, Code::busy, "too many tags are old at once");
    auto answer = co_await ask(source, tag, known, asked.askers);
    queue.release(place.client);
    co_return answer;
}

/// Asks upstream: by HEAD when we have the manifest that it will most likely name, else for the manifest itself.
Task<Fetched<TagAnswer>> Tags::ask(const Source& source, const std::string& tag, const std::optional<TagRecord>& known,
                                   const std::shared_ptr<Askers>& askers) {
    TagAnswer answer;
    if (known) {
        std::optional<UpstreamFailure> failure;
        auto digest = co_await ask_head(source, tag, *askers, failure);
        if (failure) co_return *failure;
        if (digest && *digest == known->digest) {
            answer.record = *known;
            answer.record.checked = wall_seconds();
            answer.served = Served::revalidated;
            answer.fresh_for = life_of(key_of(source, tag), source.tag_ttl);
            co_return answer;
        }
    }
    auto content = co_await manifests_.fetch(source, tag, askers);
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

Task<std::optional<Digest>> Tags::ask_head(const Source& source, const std::string& tag, Askers& askers,
                                           std::optional<UpstreamFailure>& failure) {
    auto request = request_of(source, UpstreamKind::manifest_head, "manifests/" + tag);
    request.askers = &askers;
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
