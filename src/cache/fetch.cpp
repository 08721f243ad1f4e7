#include "entrepot/cache/fetch.h"

#include "entrepot/base/log.h"

#include "cache/body_gatherer.h"
#include "cache/disk_pace.h"

#include <algorithm>
#include <deque>

namespace entrepot {
namespace {

constexpr int breaks_without_progress_max = 5;
constexpr Duration first_pause = milliseconds(100);  // doubles with each break that brought nothing
constexpr Duration buffer_wait = seconds(30);
// How often followers are woken while bytes flow. A wake costs each of them one sendfile; few followers are woken sooner.
constexpr std::uint64_t announce_step_bytes = 1 * MiB;
constexpr Duration announce_interval_min = milliseconds(4);
constexpr Duration announce_interval_max = milliseconds(60);
constexpr Duration announce_interval_per_follower = std::chrono::microseconds(200);
// A follower sends a piece out of its buffer for a copy; from a handful on sendfile from the page cache is cheaper.
constexpr std::uint32_t followers_fed_max = 2;
constexpr Duration followers_check_interval = milliseconds(20), followers_check_interval_max = milliseconds(320);

UpstreamFailure failure_of(const Error& error, std::string why) {
    UpstreamFailure failure;
    failure.error = error;
    failure.why = std::move(why);
    return failure;
}

using Writes = std::deque<Task<Result<void>>>;  // under way, oldest first

/// Waits until no more than `left` are under way. The first failure of those that ended.
Task<Result<void>> settle(Writes& writes, std::size_t left) {
    Result<void> outcome;
    while (writes.size() > left) {
        auto written = co_await writes.front();
        writes.pop_front();
        if (outcome) outcome = written;
    }
    co_return outcome;
}

/// Of an upstream that refused to continue a transfer: whether the next attempt may end differently.
bool asking_again_may_help(const Error& error) {
    if (error.fault != Fault::upstream || error.detail == 416) return false;
    return error.code != Code::not_found && error.code != Code::unauthorized && error.code != Code::denied;
}

}  // namespace

UpstreamFailure of_upstream(UpstreamFailure failure) noexcept {
    if (failure.error.fault == Fault::capacity) failure.error.fault = Fault::upstream;
    return failure;
}

void Follower::leave() noexcept {
    auto subscription = std::move(subscription_);
    if (!subscription) return;
    if (needs_memory_) subscription->progress->memory_followers.fetch_sub(1, std::memory_order_relaxed);
    subscription->progress->followers.fetch_sub(1, std::memory_order_release);
}

void Follower::need_memory() noexcept {
    if (needs_memory_) return;
    needs_memory_ = true;
    subscription_->progress->memory_followers.fetch_add(1, std::memory_order_relaxed);
}

Task<Result<void>> Follower::until_length_known(Instant deadline) {
    for (;;) {
        auto state_now = state();
        bool known = state_now == FetchState::streaming && progress().length != length_unknown;
        if (known || state_now == FetchState::complete || state_now == FetchState::failed) co_return Result<void>();
        bool notified = co_await subscription_->changed.wait(deadline);
        if (!notified) co_return Error{Fault::upstream, Code::timeout};
    }
}

Task<Result<void>> Follower::until_beyond(std::uint64_t offset, Instant deadline) {
    deadline_ = deadline;
    for (;;) {
        auto state_now = state();
        if (available() > offset || state_now == FetchState::complete || state_now == FetchState::failed)
            co_return Result<void>();
        auto wait = subscription_->changed.wait(deadline_);
        wait_ = &wait;
        bool notified = co_await wait;
        wait_ = nullptr;
        if (!notified) co_return Error{Fault::upstream, Code::timeout};
    }
}

void Follower::hasten(Instant deadline) noexcept {
    deadline_ = std::min(deadline_, deadline);
    if (wait_) wait_->wait_until(deadline_);
}

Fetch::Fetch(FetchTools& tools, const Digest& digest, Source source)
    : tools_(tools), source_(std::move(source)), askers_(source_.client), progress_(std::make_shared<FetchProgress>()),
      digester_(digest.algorithm()), announce_timer_(*this), pieces_timer_(*this) {
    progress_->digest = digest;
    tools_.counters.running_fetches.add();
}

Fetch::~Fetch() {
    ASSERT(progress_->followers.load() == 0);
    tools_.counters.running_fetches.subtract();
}

std::shared_ptr<Subscription> Fetch::subscribe(Loop& loop) {
    progress_->followers.fetch_add(1, std::memory_order_relaxed);
    for (auto& known : subscriptions_) {
        if (known->loop == &loop) return known;
    }
    auto made = std::make_shared<Subscription>();
    made->progress = progress_;
    made->loop = &loop;
    made->run = [](Message& message) {
        auto& self = static_cast<Subscription&>(message);
        auto alive = std::move(self.kept_alive);
        // An exchange, not a store: whoever announced without posting, because this message was still on its way, is seen by the followers that wake now.
        self.posted.exchange(false, std::memory_order_acq_rel);
        self.changed.notify_all();
    };
    subscriptions_.push_back(made);
    return made;
}

void Fetch::become(FetchState next) noexcept {
    auto from = state();
    ASSERT((from == FetchState::requesting && next != FetchState::requesting && next != FetchState::complete) ||
           (from == FetchState::streaming && (next == FetchState::complete || next == FetchState::failed)));
    progress_->state.store(next, std::memory_order_release);
    announce();
}

void Fetch::fail(UpstreamFailure failure) noexcept {
    tools_.counters.fetches_failed.add();
    progress_->failure = std::move(failure);
    become(FetchState::failed);
}

void Fetch::advance_available(std::uint64_t available) noexcept {
    ASSERT(available >= progress_->available.load(std::memory_order_relaxed));
    if (available == progress_->available.load(std::memory_order_relaxed)) return;
    progress_->available.store(available, std::memory_order_release);
    auto since = Loop::current().time() - announced_at_;
    bool first = announced_ == 0;
    bool fed = pieces_timer_.armed();  // what they are to send is in a buffer for a moment only
    if (first || fed || available - announced_ >= announce_step_bytes || since >= announce_interval()) return announce();
    if (!announce_timer_.armed()) Loop::current().timers().arm(announce_timer_, announced_at_ + announce_interval());
}

Duration Fetch::announce_interval() const noexcept {
    Duration wanted = announce_interval_per_follower * progress_->followers.load(std::memory_order_relaxed);
    return std::clamp(wanted, announce_interval_min, announce_interval_max);
}

void Fetch::announce() noexcept {
    Loop::current().timers().disarm(announce_timer_);
    announced_ = progress_->available.load(std::memory_order_relaxed);
    announced_at_ = Loop::current().time();
    for (auto& subscription : subscriptions_) {
        if (subscription->posted.exchange(true, std::memory_order_acq_rel)) continue;
        subscription->kept_alive = subscription;
        subscription->loop->post(*subscription);
    }
}

Task<void> Fetch::download() {
    auto transferred = co_await transfer();
    if (transferred) {
        co_await publish();
        co_return;
    }
    auto failure = transferred.error();
    bool mismatch = failure.error.code == Code::wrong_digest;
    if (mismatch) tools_.counters.digest_mismatches.add();
    // 416: upstream's blob ends before the part that we kept. Kept again, it would fail every later fetch as well.
    bool wrong = mismatch || failure.error.detail == 416;
    bool claim_may_be_wrong = length_is_claim_ && failure.error.fault == Fault::upstream;
    // Of a disk that refuses, the store itself tells, and not once for each blob.
    if (!told_by_disk(failure.error))
        log_warning("fetch of {} from {} failed: {}", digest().text(), source_.ledger_name, failure.why);
    fail(std::move(failure));
    // What came is worth a resume unless it proved wrong.
    if (writer_) co_await writer_->abandon(!wrong);
    if (claim_may_be_wrong) co_await forget_claim();
}

UpstreamRequest Fetch::request() {
    auto request = request_of(source_, UpstreamKind::blob, "blobs/" + digest().text());
    request.range_from = received_;
    request.askers = &askers_;
    return request;
}

Task<Result<void, UpstreamFailure>> Fetch::transfer() {
    // Asked now, upstream would be asked in vain and then once more for each follower.
    if (!tools_.store.takes_blobs()) co_return failure_of({Fault::storage, Code::io_failed}, "the store takes no blobs");
    if (tools_.store.partial_bytes(digest()) > 0) {
        auto begun = co_await begin_writing(std::nullopt);
        if (!begun) co_return failure_of(begun.error(), "the store refuses the blob");
    }
    int breaks = 0;
    std::size_t endpoint = 0;  // who delivered last
    for (;;) {
        auto before = received_;
        auto wanted = request();
        auto answer = co_await tools_.upstreams.ask(std::move(wanted));
        if (!answer && (received_ == 0 || breaks >= breaks_without_progress_max || !asking_again_may_help(answer.error().error)))
            co_return of_upstream(answer.error());
        Error broke{Fault::upstream, Code::closed};
        if (answer) {
            auto exchange = *std::move(answer);
            auto head = co_await take_head(*exchange);
            Result<void> pumped;
            if (head) pumped = co_await pump(*exchange);
            endpoint = exchange->endpoint();
            co_await exchange->finish();
            if (!head) co_return head.error();
            if (pumped) break;
            broke = pumped.error();
        }
        if (broke.fault != Fault::upstream)
            co_return failure_of(
                broke, std::string(broke.fault == Fault::shutdown ? "the server is stopping" : "the store refuses the blob"));
        // Nothing but the blob hashes to its name: all of it is here, whatever became of the end of the response. (A store that failed is behind us: its file is not whole.)
        bool may_be_whole = progress_->length == length_unknown || received_ == progress_->length;
        if (may_be_whole && received_ > before && digester_.finish() == digest()) break;
        breaks = received_ > before ? 0 : breaks + 1;
        if (breaks > breaks_without_progress_max) {
            co_return failure_of(broke, fmt::format("upstream broke off {} times in a row at byte {}", breaks, received_));
        }
        tools_.counters.resumes.add();
        if (breaks > 0) co_await Sleep(first_pause * (1 << (breaks - 1)));
    }
    // Followers promised this length: right bytes up to it would be a complete answer, whatever follows.
    if (progress_->length != length_unknown && progress_->length != received_)
        co_return failure_of({Fault::upstream, Code::wrong_length}, "upstream sent more than it promised");
    auto found = digester_.finish();
    if (!(found == digest())) {
        tools_.upstreams.distrust(*source_.upstream, endpoint);
        co_return failure_of({Fault::upstream, Code::wrong_digest},
                             fmt::format("upstream sent bytes that hash to {}", found.text()));
    }
    co_return Result<void, UpstreamFailure>();
}

/// From the head of a response: the length, the writer, and where in the blob its body begins.
Task<Result<void, UpstreamFailure>> Fetch::take_head(UpstreamExchange& exchange) {
    auto total = exchange.total_length();
    if (progress_->length != length_unknown && total && *total != progress_->length) {
        co_return failure_of({Fault::upstream, Code::wrong_length},
                             fmt::format("upstream changed the length from {} to {}", progress_->length.load(), *total));
    }
    if (exchange.status() == 206 && exchange.range_start() != received_) {
        co_return failure_of({Fault::upstream, Code::bad_message}, "upstream answered with another range than asked for");
    }
    if (!writer_) {
        auto begun = co_await begin_writing(total);
        if (!begun) co_return failure_of(begun.error(), "the store refuses the blob");
    }
    if (state() == FetchState::requesting) {
        // Room is made only for what upstream itself promises; but followers may begin with what the manifest says, and whoever sends another length fails.
        auto told = tools_.store.ledger().told_bytes(source_.scope(), source_.ledger_name, digest());
        length_is_claim_ = !total && told && *told >= received_;
        if (length_is_claim_) total = told;
        if (total) progress_->length = *total;
        progress_->file = writer_->file();
        become(FetchState::streaming);
    }
    if (exchange.status() == 200 && received_ > 0) {
        // The upstream ignored the range: what we have is read past and dropped.
        auto skipped = co_await skip(exchange, received_);
        if (!skipped) co_return failure_of(skipped.error(), "upstream ignores ranges and broke off again");
    }
    co_return Result<void, UpstreamFailure>();
}

/// What the manifest says of the length may be why nothing fits: the next fetch takes its length from the body alone.
Task<void> Fetch::forget_claim() {
    std::vector<LedgerChange> changes;
    changes.push_back(PutGrant{source_.scope(), source_.ledger_name, digest()});
    [[maybe_unused]] auto forgotten = co_await tools_.store.ledger().apply(std::move(changes));
}

Task<Result<void>> Fetch::begin_writing(std::optional<std::uint64_t> length) {
    auto writer = co_await tools_.store.begin(digest(), length, digester_);
    if (!writer) co_return writer.error();
    writer_ = *std::move(writer);
    received_ = writer_->written();
    co_return Result<void>();
}

Task<Result<void>> Fetch::skip(UpstreamExchange& exchange, std::uint64_t bytes) {
    auto buffer = co_await tools_.buffers.take(Loop::current().time() + buffer_wait);
    if (!buffer) co_return Error{Fault::capacity, Code::busy};
    while (bytes > 0) {
        auto into = buffer.bytes().first(std::min<std::uint64_t>(bytes, BufferPool::buffer_bytes));
        auto got = co_await exchange.read(into);
        if (!got) co_return got.error();
        if (*got == 0) co_return Error{Fault::upstream, Code::wrong_length};
        bytes -= *got;
    }
    co_return Result<void>();
}

/// Reads the body to its end. The next bytes are received while previous pieces are on their way to the file.
Task<Result<void>> Fetch::pump(UpstreamExchange& exchange) {
    BodyGatherer body(exchange, tools_.buffers, received_);
    Writes writing;
    Result<void> outcome;
    std::size_t writes_max = 1;
    auto& loop = Loop::current();
    DiskPace disk(loop.time());
    while (outcome) {
        auto piece = co_await body.next();
        auto came = loop.time();
        if (writing.size() >= writes_max) outcome = co_await settle(writing, writes_max - 1);
        disk.note(loop.time(), loop.time() - came);
        if (!outcome) break;
        if (!piece) outcome = piece.error();
        if (!piece || piece->bytes.empty()) break;
        if (progress_->length != length_unknown && received_ + piece->bytes.size() > progress_->length) {
            outcome = Error{Fault::upstream, Code::wrong_length};
            break;
        }
        co_await tools_.digests.update(digester_, piece->bytes);
        auto via = disk.behind() ? WriteVia::page_cache : way_of(piece->bytes);
        if (via == WriteVia::page_cache) outcome = co_await settle(writing, 0);
        if (!outcome) break;
        writes_max = via == WriteVia::disk && tools_.buffers.out() * 2 < tools_.buffers.count() ? BlobWriter::writes_max : 1;
        auto offset = std::exchange(received_, received_ + piece->bytes.size());
        writing.push_back(write_and_announce(std::move(piece->buffer), piece->bytes, offset, via));
    }
    auto settled = co_await settle(writing, 0);
    if (!settled) outcome = settled;
    bool is_short = progress_->length != length_unknown && received_ < progress_->length;
    if (outcome && is_short) outcome = Error{Fault::upstream, Code::wrong_length};
    co_return outcome;
}

/// Of the next piece. The last one goes through memory: what it withholds is sent from there when the digest is known.
WriteVia Fetch::way_of(Bytes bytes) const noexcept {
    auto length = progress_->length.load(std::memory_order_relaxed);
    bool whole = bytes.size() == BufferPool::buffer_bytes && received_ % BufferPool::buffer_bytes == 0;
    bool last = length == length_unknown || received_ + bytes.size() + withheld_bytes > length;
    bool few = progress_->followers.load(std::memory_order_relaxed) <= followers_fed_max &&
               progress_->memory_followers.load(std::memory_order_relaxed) == 0 && !progress_->recent->in_vain();
    return whole && !last && few && writer_->passes_memory_by() ? WriteVia::disk : WriteVia::page_cache;
}

Task<Result<void>> Fetch::write_and_announce(std::shared_ptr<Buffer> buffer, Bytes bytes, std::uint64_t offset, WriteVia via) {
    auto written = co_await writer_->append(bytes, buffer->index(), via);
    if (written && via == WriteVia::disk) keep_for_followers(std::move(buffer), bytes, offset);
    // Now, not with the frame, which lives until the next piece is here: were every buffer held by a fetch that waits for another, none would come back.
    buffer.reset();
    if (!written) co_return written;
    auto length = progress_->length.load();
    auto in_file = writer_->written();
    // Without a known length any byte may be among the last.
    auto limit = length == length_unknown ? (in_file > withheld_bytes ? in_file - withheld_bytes : 0)
                                          : (length > withheld_bytes ? length - withheld_bytes : 0);
    advance_available(std::max(progress_->available.load(std::memory_order_relaxed), std::min(in_file, limit)));
    co_return written;
}

/// Before it is announced.
void Fetch::keep_for_followers(std::shared_ptr<Buffer> buffer, Bytes bytes, std::uint64_t offset) noexcept {
    auto followers = progress_->followers.load(std::memory_order_relaxed);
    if (followers == 0) return;
    auto& loop = Loop::current();
    progress_->recent->keep(offset, std::move(buffer), bytes, followers);
    loop.timers().disarm(pieces_timer_);
    loop.timers().arm(pieces_timer_, loop.time() + RecentPieces::keep_time);
}

/// What is being read is looked at again.
void Fetch::let_go_of_pieces() noexcept {
    auto& loop = Loop::current();
    loop.timers().disarm(pieces_timer_);
    if (!progress_->recent->drop_unread()) loop.timers().arm(pieces_timer_, loop.time() + RecentPieces::keep_time);
}

/// The digest matched: everything may leave, then the blob becomes findable for its source.
Task<void> Fetch::publish() {
    RecordsUnderWay::One under_way(tools_.records);
    progress_->length = received_;
    progress_->available.store(received_, std::memory_order_release);
    become(FetchState::complete);
    std::vector<LedgerChange> grant;
    grant.push_back(PutGrant{source_.scope(), source_.ledger_name, digest()});
    auto published = co_await writer_->publish(std::move(grant));
    if (!published) {
        tools_.counters.fetches_unstored.add();
        if (!told_by_disk(published.error()))
            log_warning("{} was delivered but not stored: {} ({})", digest().text(), name_of(published.error().code),
                        published.error().detail);
        co_return;
    }
    tools_.counters.fetches_stored.add();
}

Task<void> Fetch::until_followers_left() {
    // Rarer while it lasts: a slow reader of a large blob takes hours.
    for (auto interval = followers_check_interval; progress_->followers.load(std::memory_order_acquire) > 0;) {
        co_await Sleep(interval);
        interval = std::min(interval * 2, followers_check_interval_max);
    }
    Loop::current().timers().disarm(announce_timer_);
    let_go_of_pieces();
    ASSERT(!pieces_timer_.armed());  // nobody reads: nobody follows
}

}  // namespace entrepot
