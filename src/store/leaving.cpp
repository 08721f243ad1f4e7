// How things go: evicted, removed, quarantined, dropped. The record leaves first and durably, then the name; a crash between the two leaves a stray, which the next
// start adopts again. The digest is busy (or its entry leaving) until its name is gone, so that no new file of that name can be hit.

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"
#include "store/warehouse.h"

#include <fcntl.h>

#include <algorithm>

namespace entrepot {

/// When the ledger refuses (a full disk may need just these files gone; the ledger says so in the log), the names go all the same: a record without a file is removed
/// when it is met.
Task<void> Warehouse::drop_records(const std::vector<Leaving>& leaving) {
    std::vector<LedgerChange> changes;
    changes.reserve(leaving.size());
    for (auto& one : leaving) changes.push_back(RemoveBlob{one.entry->digest});
    [[maybe_unused]] auto applied = co_await ledger_->apply(std::move(changes));
}

Task<void> Warehouse::unlink_one(Leaving leaving) {
    auto bytes = leaving.entry->bytes;
    bool removed = true;
    if (leaving.volume) removed = co_await remove_file(*leaving.volume, leaving.entry->digest);
    forget_entry(*leaving.entry);
    if (removed) capacity_.give_back(bytes);
    else unremoved_bytes_ += bytes;
}

Task<bool> Warehouse::remove_file(Volume& volume, const Digest& digest) {
    auto name = digest.hex();
    auto result = co_await unlink_file(volume.blobs(digest.algorithm()), name.c_str());
    if (result >= 0 || result == -ENOENT) co_return true;
    note_write_error(volume, "removing a blob", -result);
    leaves_strays_ = true;
    co_return false;
}

void Warehouse::forget_entry(EvictionEntry& entry) noexcept {
    counters_.blobs.fetch_sub(1, std::memory_order_relaxed);
    counters_.bytes.fetch_sub(entry.bytes, std::memory_order_relaxed);
    table_.erase(entry);
    eviction_->remove(entry);
    changed_.notify_all();
}

Task<void> Warehouse::quarantine(const Digest& digest_given) {
    auto digest = digest_given;
    auto look = [this, &digest] { return judge(digest); };
    (void)co_await run_at_owner(look);
}

Task<Result<void>> Warehouse::remove(const Digest& digest_given) {
    auto digest = digest_given;
    auto take = [this, &digest] { return remove_at_owner(digest); };
    bool removed = co_await run_at_owner(take);
    if (!removed) co_return Error{Fault::policy, Code::busy};
    co_return Result<void>();
}

Task<bool> Warehouse::remove_at_owner(const Digest& digest) {
    auto* entry = table_.find(digest);
    if (entry && entry->pinned()) co_return false;
    co_await take_out(digest, false);
    co_return true;
}

/// Takes a blob out of the store, used or not; false when it is not there. Who has it open keeps reading: the bytes live as long as a descriptor does.
Task<bool> Warehouse::take_out(const Digest& digest_given, bool to_quarantine, const EvictionEntry* only) {
    auto digest = digest_given;
    auto* entry = table_.find(digest);
    if (!entry || entry->place == EvictionEntry::Place::leaving || (only && entry != only)) co_return false;
    auto record = ledger_->find_blob_head(digest);
    auto* volume = record ? volume_of(record->volume) : nullptr;
    auto bytes = entry->bytes;
    busy_.insert(digest);
    forget_entry(*entry);
    std::vector<LedgerChange> changes;
    changes.push_back(RemoveBlob{digest});
    [[maybe_unused]] auto applied = co_await ledger_->apply(std::move(changes));
    bool moved = false, removed = true;
    if (volume && to_quarantine) moved = co_await move_to_quarantine(digest, *volume, bytes);
    if (volume && !moved) removed = co_await remove_file(*volume, digest);
    if (!removed) unremoved_bytes_ += bytes;
    else if (!moved) capacity_.give_back(bytes);
    busy_.erase(digest);
    changed_.notify_all();
    co_return true;
}

/// One of many that leave together. Its entry is gone, its digest busy.
struct Warehouse::Discarding {
    Digest digest;
    Volume* volume;  // nullptr: lost
    std::uint64_t bytes;
    bool survived_trial;
};

Task<Result<std::vector<Digest>>> Warehouse::discard(std::vector<Digest> digests, std::vector<LedgerChange> changes) {
    auto take = [&] { return discard_at_owner(digests, changes); };
    auto left = co_await run_at_owner(take);
    co_return left;
}

Task<Result<std::vector<Digest>>> Warehouse::discard_at_owner(std::vector<Digest>& digests, std::vector<LedgerChange>& changes) {
    std::vector<Discarding> leaving;
    for (auto& digest : digests) {
        if (auto partial = partials_.take(digest)) background_.start(drop_as_task(*partial));
        auto* entry = table_.find(digest);
        if (!entry || entry->place == EvictionEntry::Place::leaving || busy_.contains(digest)) continue;
        auto record = ledger_->find_blob_head(digest);
        leaving.push_back({digest, record ? volume_of(record->volume) : nullptr, entry->bytes, entry->survived_trial()});
        busy_.insert(digest);
        forget_entry(*entry);
        changes.push_back(RemoveBlob{digest});
    }
    auto applied = co_await ledger_->apply(std::move(changes));
    if (!applied) {
        for (auto& one : leaving) put_back(one);
        changed_.notify_all();
        co_return applied.error();
    }
    TaskGroup unlinking;
    std::vector<Digest> left;
    for (auto& one : leaving) {
        left.push_back(one.digest);
        unlinking.start(unlink_discarded(one));
    }
    co_await unlinking.close();
    co_return left;
}

Task<void> Warehouse::unlink_discarded(Discarding discarding) {
    bool removed = true;
    if (discarding.volume) removed = co_await remove_file(*discarding.volume, discarding.digest);
    if (removed) capacity_.give_back(discarding.bytes);
    else unremoved_bytes_ += discarding.bytes;
    busy_.erase(discarding.digest);
    changed_.notify_all();
}

/// The ledger still has its record, and nobody could write it meanwhile: it was busy.
void Warehouse::put_back(const Discarding& discarding) {
    busy_.erase(discarding.digest);
    auto* entry = eviction_->insert(discarding.digest, discarding.bytes, discarding.survived_trial);
    if (!entry) {  // others filled the table: the record is met at the next start
        unremoved_bytes_ += discarding.bytes;
        leaves_strays_ = true;
        return;
    }
    table_.insert(*entry);
    counters_.blobs.fetch_add(1, std::memory_order_relaxed);
    counters_.bytes.fetch_add(discarding.bytes, std::memory_order_relaxed);
}

Task<bool> Warehouse::move_to_quarantine(const Digest& digest, Volume& volume, std::uint64_t charged_bytes) {
    auto from = digest.hex();
    auto to = flat_name(digest);
    auto earlier = std::find_if(quarantined_.begin(), quarantined_.end(),
                                [&](auto& other) { return other.volume == &volume && other.name == to; });
    if (earlier != quarantined_.end()) {
        capacity_.give_back(earlier->charged_bytes);  // replaced by the rename
        quarantined_.erase(earlier);
    }
    auto result = co_await rename_file(volume.blobs(digest.algorithm()), from.c_str(), volume.quarantine(), to.c_str(), 0);
    if (result < 0) {
        log_warning(
            "{} is damaged or missing on volume {}; its record is removed and it is fetched again when somebody asks for it",
            digest.text(), volume.path());
        co_return false;
    }
    log_warning("{} on volume {} is damaged; it was moved to .entrepot/quarantine and is fetched again when somebody asks for it",
                digest.text(), volume.path());
    counters_.quarantined.fetch_add(1, std::memory_order_relaxed);
    quarantined_.push_back({to, &volume, charged_bytes});
    while (quarantined_.size() > quarantined_max) co_await drop_oldest_quarantined(nullptr);
    co_return true;
}

/// 0 when there is none, or none on the volume.
Task<std::uint64_t> Warehouse::drop_oldest_quarantined(Volume* only) {
    auto found =
        std::find_if(quarantined_.begin(), quarantined_.end(), [only](auto& one) { return !only || one.volume == only; });
    if (found == quarantined_.end()) co_return 0;
    auto oldest = std::move(*found);
    quarantined_.erase(found);
    co_await unlink_file(oldest.volume->quarantine(), oldest.name.c_str());
    capacity_.give_back(oldest.charged_bytes);
    co_return oldest.charged_bytes;
}

Task<bool> Warehouse::unlink_partial(const Volume& volume, const Digest& digest) {
    auto name = flat_name(digest);
    auto sums_name = name + ".sums";
    auto result = co_await unlink_file(volume.partials(), name.c_str());
    co_await unlink_file(volume.partials(), sums_name.c_str());
    co_return result >= 0 || result == -ENOENT;
}

Task<std::uint64_t> Warehouse::drop_partial(KeptPartial partial) {
    counters_.partial_bytes.fetch_sub(partial.charged_bytes, std::memory_order_relaxed);
    busy_.insert(partial.digest);
    co_await unlink_partial(*partial.volume, partial.digest);
    busy_.erase(partial.digest);
    changed_.notify_all();
    capacity_.give_back(partial.charged_bytes);
    co_return partial.charged_bytes;
}

/// Its bytes are taken already. The oldest goes when there are more than partials_max.
void Warehouse::keep_partial(const KeptPartial& partial) {
    partials_.put(partial);
    counters_.partial_bytes.fetch_add(partial.charged_bytes, std::memory_order_relaxed);
    while (partials_.count() > options_.partials_max) {
        auto oldest = partials_.take_oldest();
        background_.start(drop_as_task(*oldest));
    }
}

Task<void> Warehouse::drop_as_task(KeptPartial partial) { co_await drop_partial(partial); }

}  // namespace entrepot
