// Making room: the account says no, or the disk does, and somebody has to leave.

#include "store/warehouse.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr auto turn_wait_max = seconds(60);
constexpr int rounds_max = 4096;             // of eviction for one reservation; each frees something or is the last
constexpr std::size_t victims_a_round = 64;  // leave together: one commit of the ledger
constexpr std::uint64_t headroom_bytes_max = 256 * MiB;
constexpr std::uint64_t disk_headroom_bytes = MiB;
constexpr Error no_space{Fault::capacity, Code::no_space};

}  // namespace

Task<Result<void>> Warehouse::reserve(std::uint64_t bytes) {
    if (capacity_.try_take(bytes)) co_return Result<void>();
    auto make = [this, bytes] { return make_room(bytes); };
    co_return co_await run_at_owner(make);
}

/// One reservation after the other: those who need much are not starved by those who need little, and nobody evicts for two.
Task<Result<void>> Warehouse::make_room(std::uint64_t bytes) {
    if (bytes > capacity_.limit()) co_return no_space;
    auto deadline = Loop::current().time() + turn_wait_max;
    bool mine = co_await room_.acquire(deadline);
    if (!mine) co_return no_space;
    auto made = co_await make_room_in_turn(bytes);
    room_.release();
    co_return made;
}

Task<Result<void>> Warehouse::make_room_in_turn(std::uint64_t bytes) {
    // A little more than asked for, so that not every reservation of a full store waits for a commit.
    auto headroom = std::min(capacity_.limit() / 64, headroom_bytes_max);
    bool relieved = false;
    for (int round = 0; round < rounds_max; ++round) {
        if (capacity_.try_take(bytes)) co_return Result<void>();
        auto missing = capacity_.used() + bytes - std::min(capacity_.used() + bytes, capacity_.limit());
        auto freed = co_await evict(missing + headroom, nullptr);
        if (freed > 0) continue;
        if (relieved || !relief_) break;
        // All that is left is open: perhaps only because somebody caches descriptors.
        relieved = true;
        auto relief = relief_();
        co_await relief;
    }
    if (capacity_.try_take(bytes)) co_return Result<void>();
    co_return no_space;
}

Task<Result<void>> Warehouse::make_disk_room(Volume& volume, std::uint64_t bytes) {
    if (bytes > volume.bytes()) co_return no_space;  // all of it could go, and it would not be enough
    auto* only = &volume;
    auto make = [this, only, bytes] { return evict_from(only, bytes + disk_headroom_bytes); };
    auto freed = co_await run_at_owner(make);
    if (!freed) co_return freed.error();
    co_return Result<void>();
}

Task<Result<std::uint64_t>> Warehouse::evict_from(Volume* volume, std::uint64_t bytes) {
    auto deadline = Loop::current().time() + turn_wait_max;
    bool mine = co_await room_.acquire(deadline);
    if (!mine) co_return no_space;
    std::uint64_t freed = 0;
    for (int round = 0; round < rounds_max && freed < bytes; ++round) {
        auto some = co_await evict(bytes - freed, volume);
        if (some == 0) break;
        freed += some;
    }
    room_.release();
    if (freed == 0) co_return no_space;
    co_return freed;
}

/// What goes first: damaged blobs, which were kept only as evidence; partial files beyond an eighth of the capacity; blobs by the eviction's choice; other partial files.
/// Returns the bytes given back, 0 when nothing can leave.
Task<std::uint64_t> Warehouse::evict(std::uint64_t bytes, Volume* only) {
    auto freed = co_await drop_oldest_quarantined(only);
    if (freed > 0) co_return freed;
    std::optional<KeptPartial> partial;
    if (counters_.partial_bytes.load(std::memory_order_relaxed) > capacity_.limit() / 8) partial = partials_.take_oldest(only);
    if (partial) co_return co_await drop_partial(*partial);
    freed = co_await evict_blobs(bytes, only);
    if (freed > 0) co_return freed;
    partial = partials_.take_oldest(only);
    if (partial) freed = co_await drop_partial(*partial);
    co_return freed;
}

Task<std::uint64_t> Warehouse::evict_blobs(std::uint64_t bytes, Volume* only) {
    auto victims = choose_victims(bytes, only);
    if (victims.empty()) co_return 0;
    std::uint64_t freed = 0;
    for (auto& victim : victims) freed += victim.entry->bytes;
    auto count = victims.size();
    co_await drop_records(victims);
    TaskGroup unlinking;
    for (auto& victim : victims) unlinking.start(unlink_one(victim));
    co_await unlinking.close();
    counters_.evictions.fetch_add(count, std::memory_order_relaxed);
    counters_.evicted_bytes.fetch_add(freed, std::memory_order_relaxed);
    co_return freed;
}

std::vector<Warehouse::Leaving> Warehouse::choose_victims(std::uint64_t bytes, Volume* only) {
    std::vector<Leaving> victims;
    std::uint64_t chosen = 0;
    bool any_volume = (!only || volumes_.size() == 1) && all_take_writes();
    auto may_go = [&](const EvictionEntry& entry) {
        if (any_volume) return true;
        auto record = ledger_->find_blob_head(entry.digest);
        if (only) return record && record->volume == only->index();
        // Where no name can be removed an eviction would lose the blob and gain nothing.
        auto* volume = record ? volume_of(record->volume) : nullptr;
        return !volume || volume->health().takes_writes();
    };
    while (chosen < bytes && victims.size() < victims_a_round) {
        auto* entry = eviction_->victim(may_go);
        if (!entry) break;
        auto record = ledger_->find_blob_head(entry->digest);
        victims.push_back({entry, record ? volume_of(record->volume) : nullptr});
        chosen += entry->bytes;
    }
    return victims;
}

/// After a start with a smaller capacity: down to it, a round at a time.
Task<void> Warehouse::trim() {
    while (!stopping_ && capacity_.used() > capacity_.limit()) {
        auto freed = co_await evict(capacity_.used() - capacity_.limit(), nullptr);
        if (freed == 0) co_return;
    }
}

}  // namespace entrepot
