#pragma once
// Which blob leaves when room is needed: S3-FIFO accounted in bytes (docs/decisions/0003-eviction.md has the measurement behind
// the choice). It knows digests, sizes and use, and touches no file: the store unlinks what victim() names.
//
//   insert ──> small ──used twice──> main ──> (chances by use) ──victim()──> leaving ──remove()──> free
//                │                    ^  ^                                    │
//                │                    │  └───────────── keep() ───────────────┘
//                └──victim()──> leaving, its name kept in the ghost table for a while: such a blob comes back into main
//   remove() of an entry that is pinned ──> orphan ──last unpin──> free
//
// One thread, the owner, makes all structural calls. touch() and unpin() may come from any thread through the entry's
// pointer. Entries live in slabs at stable addresses, 96 bytes each, and are reused but not unmapped before the
// Eviction ends: a touch through a stale pointer is harmless, it warms a stranger.

#include "entrepot/base/intrusive_list.h"
#include "entrepot/oci/digest.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace entrepot {

class GhostTable;

struct EvictionEntry : ListLink {
    static constexpr std::uint8_t frequency_max = 3;
    static constexpr std::uint32_t leaving_bit = 1u << 31;  // of pins
    enum class Place : std::uint8_t { free, small, main, leaving, orphan };

    /// The blob was used. Any thread. At most one relaxed store, and none at all once the blob is hot, so that shards do
    /// not fight over the line. Concurrent touches may count as one.
    void touch() noexcept {
        const std::uint8_t seen = frequency.load(std::memory_order_relaxed);
        if (seen < frequency_max) frequency.store(static_cast<std::uint8_t>(seen + 1), std::memory_order_relaxed);
    }

    /// While pinned (open, being served, kept by an operator) a blob is no victim. False when it is leaving already: treat it as
    /// absent. Called by the owner, or by any thread that holds a pin. Undone by unpin(), after which the thread must not
    /// use the pointer for anything but touch().
    [[nodiscard]] bool pin() noexcept {
        if (!(pins.fetch_add(1, std::memory_order_relaxed) & leaving_bit)) return true;
        pins.fetch_sub(1, std::memory_order_relaxed);
        return false;
    }
    void unpin() noexcept {
        const std::uint32_t before = pins.fetch_sub(1, std::memory_order_release);
        ASSERT((before & ~leaving_bit) > 0);
    }
    bool pinned() const noexcept { return (pins.load(std::memory_order_acquire) & ~leaving_bit) > 0; }

    /// The blob proved itself by repeated use (it is in the main queue). Worth keeping across a restart. Owner only.
    bool survived_trial() const noexcept { return place == Place::main; }

    std::uint64_t bytes = 0;  ///< on disk; constant while stored
    std::atomic<std::uint32_t> pins{0};
    std::atomic<std::uint8_t> frequency{0};  ///< uses since the last chance was spent, at most frequency_max
    Place place = Place::free;               ///< owner only
    Digest digest;
};
static_assert(sizeof(EvictionEntry) <= 96);

class Eviction {
  public:
    struct Options {
        std::uint64_t capacity_bytes = 0;
        std::uint32_t entries_max = 1u << 22;        ///< blobs, those leaving included; at the bound insert() refuses
        std::uint32_t ghost_entries_max = 1u << 20;  ///< names remembered after eviction, 16 bytes each, oldest forgotten first
        std::uint32_t walk_steps_max = 4096;         ///< entries that victim() may look at in each queue
    };

    explicit Eviction(const Options& options);
    /// Nothing may be pinned or leaving any more.
    ~Eviction();
    Eviction(const Eviction&) = delete;
    Eviction& operator=(const Eviction&) = delete;

    /// Accounts for a blob that is now stored. The caller knows that it is not inserted yet. `admitted_before` tells that it had
    /// survived its trial before a restart; for those the order of insertion is the order of age. nullptr at entries_max:
    /// evict first.
    EvictionEntry* insert(const Digest& digest, std::uint64_t bytes, bool admitted_before = false);

    /// The blob is gone from disk: after victim(), or for any other reason. Its bytes leave the account now. If it is pinned
    /// (a quarantined blob may still be read), its memory is reused only after the last unpin.
    void remove(EvictionEntry& entry);

    /// Names a blob to unlink: not pinned, and `may_evict(const EvictionEntry&)` agrees. From here until remove() or keep() it is
    /// leaving: it cannot be pinned or named again, and still counts in bytes_used(). nullptr when none of the entries
    /// within walk_steps_max may go; the queues have turned, so another call looks at others. Under that bound a blob
    /// that was used may be named before one that was not.
    template <typename Predicate>
    EvictionEntry* victim(Predicate may_evict) {
        return choose({[](void* context, const EvictionEntry& entry) { return bool((*static_cast<Predicate*>(context))(entry)); },
                       &may_evict});
    }
    EvictionEntry* victim() {
        return victim([](const EvictionEntry&) { return true; });
    }

    /// The blob named by victim() stays after all (unlink failed): it goes to the young end of the main queue.
    void keep(EvictionEntry& entry);

    /// Never evicts by itself; the caller asks for victims until it is content.
    void set_capacity(std::uint64_t capacity_bytes);

    std::uint64_t capacity_bytes() const noexcept { return capacity_bytes_; }
    std::uint64_t bytes_used() const noexcept { return small_.bytes + main_.bytes + bytes_leaving_; }
    std::uint64_t bytes_leaving() const noexcept { return bytes_leaving_; }  ///< of bytes_used(): unlink is under way
    std::uint32_t entries() const noexcept { return entries_; }              ///< accounted, those leaving included
    std::uint32_t entries_pinned_after_removal() const noexcept { return orphans_; }

  private:
    using Place = EvictionEntry::Place;
    struct Queue {
        IntrusiveList<EvictionEntry> list;  // oldest in front
        std::uint64_t bytes = 0;
        std::uint32_t entries = 0;
    };
    struct MayEvict {
        bool (*ask)(void* context, const EvictionEntry& entry);
        void* context;
        bool operator()(const EvictionEntry& entry) const { return !entry.pinned() && ask(context, entry); }
    };

    EvictionEntry* choose(MayEvict may_evict);
    EvictionEntry* walk_small(MayEvict may_evict, bool whole_queue);
    EvictionEntry* walk_main(MayEvict may_evict);
    bool start_leaving(EvictionEntry& entry);
    void push(Queue& queue, EvictionEntry& entry);
    void take(EvictionEntry& entry);
    Queue& queue_of(const EvictionEntry& entry);
    EvictionEntry* allocate();
    void release(EvictionEntry& entry);
    void reclaim_orphans();

    std::uint64_t capacity_bytes_;
    std::uint64_t small_bytes_max_ = 0;
    const std::uint32_t entries_max_;
    const std::uint32_t walk_steps_max_;
    Queue small_;
    Queue main_;
    std::uint64_t bytes_leaving_ = 0;
    std::uint32_t entries_ = 0;
    std::uint32_t orphans_ = 0;
    std::unique_ptr<GhostTable> ghosts_;

    std::vector<std::unique_ptr<EvictionEntry[]>> slabs_;
    std::uint32_t slab_fresh_ = 0;  // entries of the last slab that were never used
    IntrusiveList<EvictionEntry> leaving_list_;
    IntrusiveList<EvictionEntry> orphan_list_;
    IntrusiveList<EvictionEntry> free_list_;
};

}  // namespace entrepot
