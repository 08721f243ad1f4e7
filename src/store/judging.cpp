// Whether a stored file still is what its name says. The digest decides: the sums in the ledger only find out sooner, chunk by chunk, and the ledger lies on a disk too.

#include "entrepot/base/log.h"
#include "store/chunk_reader.h"
#include "store/chunk_sums.h"
#include "store/warehouse.h"

#include <fcntl.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr auto verify_wait_max = std::chrono::minutes(10);
constexpr int others_share = 3;  // of the disk's time, for each part that somebody takes who looks in passing
constexpr Duration way_max = seconds(1);
constexpr Duration bulk_patience = milliseconds(20);
constexpr int bulk_patience_times = 50;

}  // namespace

/// ReadVia::disk goes through memory where the file system knows no other way.
Task<Result<std::unique_ptr<ChunkReader>>> Warehouse::open_reader(const Digest& digest, const BlobRecord& record, ReadVia via) {
    bool direct = via == ReadVia::disk && !direct_refused_;
    auto file = co_await open_stored(digest, record, direct ? O_DIRECT : 0);
    if (!file && direct && file.error().detail == EINVAL) {
        direct = false;
        file = co_await open_stored(digest, record, 0);
    }
    if (!file) co_return file.error();
    co_return std::make_unique<ChunkReader>(*file, record.size, direct);
}

/// Some file systems refuse such reads only when one comes. True when the same may be tried once more, through memory.
bool Warehouse::note_refused(const ChunkReader& reader, const Error& error) noexcept {
    if (!reader.direct() || error.detail != EINVAL) return false;
    direct_refused_ = true;
    return true;
}

/// The whole file. `in_passing`: nobody waits for it, so it leaves the disk and the shard to others most of the time.
Task<Result<Warehouse::Contents>> Warehouse::read_contents(const Digest& digest, const BlobRecord& record, ReadVia via,
                                                           bool in_passing) {
    auto reader = co_await open_reader(digest, record, via);
    if (!reader) co_return reader.error();
    Digester digester(digest.algorithm());
    ChunkSummer summer;
    for (std::uint64_t chunk = 0; chunk < (*reader)->chunks(); ++chunk) {
        if (in_passing && stopping_) co_return Error{Fault::shutdown, Code::stopping};
        auto began = now();
        auto bytes = co_await (*reader)->read(chunk);
        if (!bytes && note_refused(**reader, bytes.error())) {
            auto again = co_await read_contents(digest, record, via, in_passing);
            co_return again;
        }
        if (!bytes) co_return bytes.error();
        co_await BulkTurn{};
        digester.update(*bytes);
        summer.update(*bytes);
        if (in_passing) co_await make_way(now() - began);
    }
    Contents contents;
    contents.right = digester.finish() == digest;
    contents.sums = summer.finish();
    co_return contents;
}

/// After a read that took so long, by somebody for whom nobody waits: the disk is left to others for three times as long (a busy disk answers late, and is asked less), and
/// the shard to whatever else is bulky, for a second at most.
Task<void> Warehouse::make_way(Duration read_took) {
    auto pause = std::min(read_took * others_share, way_max);
    auto until = Loop::current().time() + pause;
    if (!stopping_) (void)co_await woken_.wait(until);
    for (int times = 0; times < bulk_patience_times && Loop::current().has_bulk() && !stopping_; ++times)
        co_await Sleep(bulk_patience);
}

Task<void> Warehouse::save_sums(const Digest& digest, std::vector<std::uint64_t> sums) {
    std::vector<LedgerChange> changes;
    changes.push_back(PutSums{digest, std::move(sums)});
    // Refused: the blob is whole all the same, and is looked at again when it is next opened.
    [[maybe_unused]] auto applied = co_await ledger_->apply(std::move(changes));
}

/// The record of a blob whose digest was never verified by us, once it is. Those who ask for the same blob share one pass over it.
Task<Result<BlobRecord>> Warehouse::verify_stored(const Digest& digest_given) {
    auto digest = digest_given;
    while (summing_.contains(digest)) co_await changed_.wait();
    auto record = ledger_->find_blob(digest);
    if (!record) co_return Error{Fault::storage, Code::corrupt};
    if (record->verified()) co_return *record;
    summing_.insert(digest);
    auto deadline = Loop::current().time() + verify_wait_max;
    bool mine = co_await verifying_.acquire(deadline);
    Result<BlobRecord> summed = Error{Fault::capacity, Code::busy};
    if (mine) {
        summed = co_await sum_stored(digest, *record);
        verifying_.release();
    }
    summing_.erase(digest);
    changed_.notify_all();
    co_return summed;
}

Task<Result<BlobRecord>> Warehouse::sum_stored(const Digest& digest, BlobRecord record) {
    auto contents = co_await read_contents(digest, record, ReadVia::page_cache, false);
    if (!contents) co_return contents.error();
    if (!contents->right) co_return Error{Fault::storage, Code::corrupt};
    record.sums = std::move(contents->sums);
    co_await save_sums(digest, record.sums);
    co_return record;
}

/// A reader found bytes that differ from their sum, or could not read them. One verdict serves all who complain meanwhile.
/// False when it goes, or is gone already.
Task<bool> Warehouse::judge(const Digest& digest_given) {
    auto digest = digest_given;
    if (summing_.contains(digest)) {
        while (summing_.contains(digest)) co_await changed_.wait();
        co_return table_.find(digest) != nullptr;
    }
    auto* entry = table_.find(digest);
    if (!entry || !entry->pin()) co_return false;
    summing_.insert(digest);
    auto deadline = Loop::current().time() + verify_wait_max;
    bool mine = co_await verifying_.acquire(deadline);
    bool clears_it = false;
    auto record = ledger_->find_blob(digest);
    if (mine && record) clears_it = co_await is_whole(digest, *record);
    if (mine) verifying_.release();
    if (!clears_it) (void)co_await take_out(digest, true, entry);
    entry->unpin();
    summing_.erase(digest);
    changed_.notify_all();
    co_return clears_it;
}

/// As the disk has it: what is in memory may be what is wrong, and reading ahead through memory would hold up those who send from it.
Task<bool> Warehouse::is_whole(const Digest& digest, const BlobRecord& record) {
    auto contents = co_await read_contents(digest, record, ReadVia::disk, false);
    if (!contents || !contents->right) co_return false;
    if (contents->sums == record.sums) {
        // The sums were right as well. Either somebody complains who opened it before they were, or memory gave him other bytes than the disk has: then a new file is best.
        co_return corrected_.contains(digest);
    }
    co_await correct_sums(digest, record, std::move(contents->sums));
    co_return true;
}

Task<void> Warehouse::correct_sums(const Digest& digest, const BlobRecord& record, std::vector<std::uint64_t> sums) {
    if (corrected_.size() >= corrected_max) corrected_.clear();
    corrected_.insert(digest);
    counters_.corrected.fetch_add(1, std::memory_order_relaxed);
    log_warning("{} on volume {} is whole, the ledger had wrong sums of it; they are corrected", digest.text(),
                volume_of(record.volume)->path());
    co_await save_sums(digest, std::move(sums));
}

}  // namespace entrepot
