// The scrub: reads what is stored, all of it, again and again, so that what rots while nobody asks for it is found, and fetched again while its upstream still has it.
// It goes through the blobs in the order of their digests, keeps its place in the ledger, and reads a burst whenever its pace allows. Between two bursts it holds nothing: no
// descriptor, no pin. The choices are in docs/decisions/0011-the-scrub-walks-by-digest-and-makes-way.md.

#include "entrepot/base/log.h"
#include "store/chunk_reader.h"
#include "store/chunk_sums.h"
#include "store/scrub_pace.h"
#include "store/warehouse.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::uint64_t burst_bytes = 4 * MiB;
constexpr std::uint64_t opening_bytes = 64 * KiB;  // what opening a blob costs the disk, as if it were reading
constexpr unsigned looks_a_burst = 64;             // at blobs, of which most may be lost with their volume
constexpr Duration sleep_max = seconds(60);        // then the size of the store is looked at again
constexpr Duration save_interval = std::chrono::minutes(10);
constexpr std::uint64_t all_chunks = UINT64_MAX;

}  // namespace

Task<void> Warehouse::scrub() {
    auto period = options_.scrub_period;
    if (period <= Duration{0}) co_return;
    scrub_ = ledger_->scrub();
    counters_.scrub_pass_ended = static_cast<std::uint64_t>(std::max<std::int64_t>(scrub_.pass_ended, 0));
    auto saved = Loop::current().time();
    ScrubPace pace(period, burst_bytes, saved);
    bool moved = false;
    while (!stopping_) {
        auto time = Loop::current().time();
        auto pass_bytes = counters_.bytes.load() + counters_.blobs.load() * opening_bytes;
        auto wait = pace.wait(pass_bytes, time);
        if (wait > Duration{0}) {
            auto until = time + std::min(wait, sleep_max);
            (void)co_await woken_.wait(until);
            continue;
        }
        auto cost = co_await scrub_some();
        pace.spend(cost);
        moved = true;
        if (Loop::current().time() - saved < save_interval) continue;
        co_await save_scrub();
        saved = Loop::current().time();
        moved = false;
    }
    if (moved) co_await save_scrub();
}

/// Refused: the next start begins further back.
Task<void> Warehouse::save_scrub() {
    std::vector<LedgerChange> changes;
    changes.push_back(PutScrub{scrub_});
    [[maybe_unused]] auto saved = co_await ledger_->apply(std::move(changes));
}

/// A burst. Yields what it cost the disk, never nothing.
Task<std::uint64_t> Warehouse::scrub_some() {
    std::uint64_t cost = 0;
    if (scrub_.pass_started == 0) scrub_.pass_started = wall_seconds();
    for (unsigned looks = 0; looks < looks_a_burst && cost < burst_bytes && !stopping_; ++looks) {
        bool goes_on = scrub_.at && scrub_.next_chunk != all_chunks && table_.find(*scrub_.at);
        if (!goes_on) {
            scrub_.at = ledger_->next_blob(scrub_.at);
            scrub_.next_chunk = 0;
        }
        if (!scrub_.at) {
            end_scrub_pass();
            break;
        }
        auto part = co_await scrub_blob(*scrub_.at, burst_bytes - cost);
        cost += part;
    }
    co_await BulkTurn{};
    co_return std::max<std::uint64_t>(cost, 1);
}

void Warehouse::end_scrub_pass() noexcept {
    scrub_ = ScrubRecord{std::nullopt, 0, 0, wall_seconds()};
    scrub_failures_ = {};
    counters_.scrub_pass_ended.store(static_cast<std::uint64_t>(scrub_.pass_ended), std::memory_order_relaxed);
}

/// Goes on with a blob where the last burst left it. Yields what that cost.
Task<std::uint64_t> Warehouse::scrub_blob(Digest digest, std::uint64_t bytes_max) {
    auto first = std::exchange(scrub_.next_chunk, all_chunks);
    auto* entry = table_.find(digest);
    auto record = ledger_->find_blob(digest);
    bool readable = record && scrub_failures_[record->volume] < scrub_failures_max;
    if (!entry || !readable || !entry->pin()) co_return 0;
    std::uint64_t cost = first == 0 ? opening_bytes : 0;
    auto verdict = co_await scrub_pinned(digest, *record, first, bytes_max, cost);
    note_verdict(digest, *record, verdict);
    if (verdict == Verdict::wrong || verdict == Verdict::unreadable) (void)co_await take_out(digest, true, entry);
    if (verdict == Verdict::later) {
        scrub_.next_chunk = first;
        cost = bytes_max;  // no more in this burst
    }
    entry->unpin();
    co_return cost;
}

void Warehouse::note_verdict(const Digest& digest, const BlobRecord& record, Verdict verdict) noexcept {
    if (verdict == Verdict::later) return;
    bool damaged = verdict != Verdict::right;
    if (damaged) counters_.scrub_damaged.fetch_add(1, std::memory_order_relaxed);
    if (damaged || scrub_.next_chunk == all_chunks) counters_.scrubbed_blobs.fetch_add(1, std::memory_order_relaxed);
    auto& failures = scrub_failures_[record.volume];
    if (verdict == Verdict::unreadable) ++failures;
    else failures = 0;
    // Else a disk that dies would be tried to its end, and everything on it thrown away.
    if (failures == scrub_failures_max)
        log_error("volume {} does not give what lies on it, {} is the last of {} blobs: the rest of this scrub passes it over",
                  volume_of(record.volume)->path(), digest.text(), scrub_failures_max);
}

/// Chunk by chunk against the sums, from `first` on; as a whole against the digest when it is one chunk or has no sums. What does not fit is read as a whole once more before
/// that is believed: the sums may be wrong, or one read was.
Task<Warehouse::Verdict> Warehouse::scrub_pinned(const Digest& digest, const BlobRecord& record, std::uint64_t first,
                                                 std::uint64_t bytes_max, std::uint64_t& cost) {
    auto verdict = Verdict::wrong;
    bool by_sums = record.verified() && record.sums.size() > 1;
    if (by_sums) verdict = co_await compare_sums(digest, record, first, bytes_max, cost);
    else verdict = co_await scrub_whole(digest, record, cost);
    if (verdict == Verdict::wrong) verdict = co_await scrub_whole(digest, record, cost);
    co_return verdict;
}

Task<Warehouse::Verdict> Warehouse::compare_sums(const Digest& digest, const BlobRecord& record, std::uint64_t first,
                                                 std::uint64_t bytes_max, std::uint64_t& cost) {
    auto reader = co_await open_reader(digest, record, ReadVia::disk);
    if (!reader) co_return verdict_of(reader.error());
    std::uint64_t read = 0;
    for (auto chunk = first; chunk < (*reader)->chunks(); ++chunk) {
        if (read >= bytes_max || stopping_) {
            scrub_.next_chunk = chunk;
            break;
        }
        auto began = now();
        auto bytes = co_await (*reader)->read(chunk);
        if (!bytes) co_return note_refused(**reader, bytes.error()) ? Verdict::later : verdict_of(bytes.error());
        co_await BulkTurn{};
        read += bytes->size();
        cost += bytes->size();
        counters_.scrubbed_bytes.fetch_add(bytes->size(), std::memory_order_relaxed);
        if (sum_of_chunk(*bytes) != record.sums[chunk]) co_return Verdict::wrong;
        co_await make_way(now() - began);
    }
    co_return Verdict::right;
}

Task<Warehouse::Verdict> Warehouse::scrub_whole(const Digest& digest, const BlobRecord& record, std::uint64_t& cost) {
    auto contents = co_await read_contents(digest, record, ReadVia::disk, true);
    if (!contents) co_return verdict_of(contents.error());
    cost += record.size;
    counters_.scrubbed_bytes.fetch_add(record.size, std::memory_order_relaxed);
    if (!contents->right) co_return Verdict::wrong;
    if (!record.verified()) co_await save_sums(digest, std::move(contents->sums));
    else if (contents->sums != record.sums) co_await correct_sums(digest, record, std::move(contents->sums));
    co_return Verdict::right;
}

Warehouse::Verdict Warehouse::verdict_of(const Error& error) noexcept {
    if (error.code == Code::corrupt) return Verdict::wrong;  // gone, or of another length
    return error.fault == Fault::storage ? Verdict::unreadable : Verdict::later;
}

}  // namespace entrepot
