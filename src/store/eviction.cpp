#include "entrepot/store/eviction.h"

#include "store/ghost_table.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::uint32_t slab_entries = 4096;
constexpr std::uint8_t promotion_uses = 2;  // in the small queue; one alone is often a retry, or one job's second node
constexpr std::uint64_t small_share_percent = 10;
constexpr std::uint64_t ghost_share_percent = 90;
constexpr int orphans_looked_at = 4;  // per call, so that a blob read for hours costs no walk

std::uint64_t percent_of(std::uint64_t bytes, std::uint64_t percent) {
    return bytes / 100 * percent + bytes % 100 * percent / 100;
}

}  // namespace

Eviction::Eviction(const Options& options)
    : capacity_bytes_(options.capacity_bytes), entries_max_(options.entries_max), walk_steps_max_(options.walk_steps_max),
      ghosts_(std::make_unique<GhostTable>(options.ghost_entries_max, 0)) {
    ASSERT(entries_max_ > 0 && walk_steps_max_ > 0);
    set_capacity(options.capacity_bytes);
}

Eviction::~Eviction() {
    reclaim_orphans();
    ASSERT(leaving_list_.empty());
    for (IntrusiveList<EvictionEntry>* list : {&small_.list, &main_.list, &orphan_list_})
        while (EvictionEntry* entry = list->pop_front()) ASSERT(!entry->pinned());
    while (free_list_.pop_front()) {}
}

void Eviction::set_capacity(std::uint64_t capacity_bytes) {
    capacity_bytes_ = capacity_bytes;
    small_bytes_max_ = percent_of(capacity_bytes, small_share_percent);
    ghosts_->set_bytes_remembered(percent_of(capacity_bytes, ghost_share_percent));
}

EvictionEntry* Eviction::insert(const Digest& digest, std::uint64_t bytes, bool admitted_before) {
    reclaim_orphans();
    EvictionEntry* entry = allocate();
    if (!entry) return nullptr;
    entry->digest = digest;
    entry->bytes = bytes;
    entry->frequency.store(0, std::memory_order_relaxed);
    entry->pins.store(0, std::memory_order_relaxed);
    const bool remembered = ghosts_->take(digest);
    push(remembered || admitted_before ? main_ : small_, *entry);
    ++entries_;
    return entry;
}

void Eviction::remove(EvictionEntry& entry) {
    reclaim_orphans();
    ASSERT(entries_ > 0);
    --entries_;
    if (entry.place == Place::leaving) {
        entry.unlink();
        bytes_leaving_ -= entry.bytes;
        return release(entry);
    }
    take(entry);
    if (!entry.pinned()) return release(entry);
    entry.place = Place::orphan;
    orphan_list_.push_back(entry);
    ++orphans_;
}

void Eviction::keep(EvictionEntry& entry) {
    ASSERT(entry.place == Place::leaving);
    entry.unlink();
    bytes_leaving_ -= entry.bytes;
    entry.pins.fetch_and(~EvictionEntry::leaving_bit, std::memory_order_relaxed);
    push(main_, entry);
}

// Newcomers pay first, as long as they hold more than their share; then the main queue; what is left of the newcomers
// only when everything in main is in use.
EvictionEntry* Eviction::choose(MayEvict may_evict) {
    reclaim_orphans();
    if (EvictionEntry* entry = walk_small(may_evict, false)) return entry;
    if (EvictionEntry* entry = walk_main(may_evict)) return entry;
    return walk_small(may_evict, true);
}

EvictionEntry* Eviction::walk_small(MayEvict may_evict, bool whole_queue) {
    for (std::uint32_t steps = std::min(small_.entries, walk_steps_max_); steps > 0; --steps) {
        if (!whole_queue && main_.entries > 0 && small_.bytes <= small_bytes_max_) return nullptr;
        EvictionEntry& oldest = *small_.list.front();
        const bool proven = oldest.frequency.load(std::memory_order_relaxed) >= promotion_uses;
        if (!proven && may_evict(oldest) && start_leaving(oldest)) {
            ghosts_->remember(oldest.digest, oldest.bytes);
            return &oldest;
        }
        take(oldest);
        if (proven) oldest.frequency.store(0, std::memory_order_relaxed);
        push(proven ? main_ : small_, oldest);
    }
    return nullptr;
}

EvictionEntry* Eviction::walk_main(MayEvict may_evict) {
    // Each entry met spends one chance. If none was out of chances within the turn or the bound, the least used of those met
    // has to go, the oldest among equals.
    EvictionEntry* coldest = nullptr;
    std::uint8_t coldest_frequency = EvictionEntry::frequency_max + 1;
    for (std::uint32_t steps = std::min(main_.entries, walk_steps_max_); steps > 0; --steps) {
        EvictionEntry& oldest = *main_.list.front();
        const std::uint8_t frequency = oldest.frequency.load(std::memory_order_relaxed);
        const bool evictable = frequency < coldest_frequency && may_evict(oldest);
        if (frequency == 0 && evictable && start_leaving(oldest)) return &oldest;
        if (frequency > 0) oldest.frequency.store(static_cast<std::uint8_t>(frequency - 1), std::memory_order_relaxed);
        take(oldest);
        push(main_, oldest);
        if (!evictable) continue;
        coldest = &oldest;
        coldest_frequency = frequency;
    }
    return coldest && start_leaving(*coldest) ? coldest : nullptr;
}

// False if somebody pinned it in the meantime.
bool Eviction::start_leaving(EvictionEntry& entry) {
    std::uint32_t unused = 0;
    if (!entry.pins.compare_exchange_strong(unused, EvictionEntry::leaving_bit, std::memory_order_acquire)) return false;
    take(entry);
    entry.place = Place::leaving;
    leaving_list_.push_back(entry);
    bytes_leaving_ += entry.bytes;
    return true;
}

Eviction::Queue& Eviction::queue_of(const EvictionEntry& entry) {
    ASSERT(entry.place == Place::small || entry.place == Place::main);
    return entry.place == Place::small ? small_ : main_;
}

void Eviction::push(Queue& queue, EvictionEntry& entry) {
    entry.place = &queue == &small_ ? Place::small : Place::main;
    queue.list.push_back(entry);
    queue.bytes += entry.bytes;
    ++queue.entries;
}

void Eviction::take(EvictionEntry& entry) {
    Queue& queue = queue_of(entry);
    ASSERT(queue.entries > 0 && queue.bytes >= entry.bytes);
    entry.unlink();
    queue.bytes -= entry.bytes;
    --queue.entries;
}

EvictionEntry* Eviction::allocate() {
    if (entries_ + orphans_ >= entries_max_) return nullptr;
    if (EvictionEntry* reused = free_list_.pop_front()) return reused;
    if (slab_fresh_ == 0) {
        slabs_.push_back(std::make_unique<EvictionEntry[]>(slab_entries));
        slab_fresh_ = slab_entries;
    }
    return &slabs_.back()[slab_entries - slab_fresh_--];
}

void Eviction::release(EvictionEntry& entry) {
    entry.place = Place::free;
    free_list_.push_front(entry);  // the memory most likely still in the cache
}

void Eviction::reclaim_orphans() {
    for (int looked = 0; looked < orphans_looked_at && !orphan_list_.empty(); ++looked) {
        EvictionEntry& entry = *orphan_list_.pop_front();
        if (entry.pinned()) {
            orphan_list_.push_back(entry);
            continue;
        }
        --orphans_;
        release(entry);
    }
}

}  // namespace entrepot
