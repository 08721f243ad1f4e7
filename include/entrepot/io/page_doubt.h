#pragma once
// Whether the pages of a file that seem to be in memory may be waited for after all. A read from the disk makes the kernel read ahead: the next pages are in the page cache at
// once, and counted there (cachestat), while the disk still owes their bytes; sendfile would wait for them on the shard. So for a while after a read Ring::resident has to
// look closely. Measured with 64 cold readers, a pass over open files whose pages had been dropped: worst stall 134 ms without this doubt.

#include "entrepot/base/clock.h"

#include <atomic>

namespace entrepot {

/// Any thread.
class PageDoubt {
  public:
    /// Longer than a disk takes to deliver what it read ahead.
    static constexpr Duration lasts = std::chrono::seconds(1);

    /// Around each read from the disk.
    void read_begins() noexcept { reading_.fetch_add(1, std::memory_order_relaxed); }
    void read_ended(Instant time) noexcept {
        until_.store(time + lasts, std::memory_order_relaxed);
        reading_.fetch_sub(1, std::memory_order_relaxed);
    }
    bool holds(Instant time) const noexcept {
        return time < until_.load(std::memory_order_relaxed) || reading_.load(std::memory_order_relaxed) > 0;
    }

  private:
    std::atomic<unsigned> reading_{0};
    std::atomic<Instant> until_{Instant{}};
    static_assert(std::atomic<Instant>::is_always_lock_free);
};

}  // namespace entrepot
