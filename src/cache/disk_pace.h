#pragma once
// Whether a disk takes bytes as fast as upstream brings them. Past the page cache a fetch, and whoever follows it, goes no faster than the disk; through it the kernel takes what comes
// and writes later. So a fetch that waits for the disk more than half of its time goes on through the page cache. A shard that has no CPU to spare does not
// look like that: its writes end while it is busy with others.

#include "entrepot/base/clock.h"

namespace entrepot {

class DiskPace {
  public:
    static constexpr Duration window = milliseconds(100);  // a fast disk, too, pauses for some milliseconds now and then

    explicit DiskPace(Instant now) noexcept : window_began_(now) {}

    /// A piece was ready at `now - waited`, and could be written at `now`.
    void note(Instant now, Duration waited) noexcept {
        waited_ += waited;
        if (now - window_began_ < window) return;
        behind_ |= waited_ * 2 > now - window_began_;
        window_began_ = now;
        waited_ = Duration::zero();
    }
    /// From then on: the disk does not become faster within a fetch.
    bool behind() const noexcept { return behind_; }

  private:
    Instant window_began_;
    Duration waited_ = Duration::zero();
    bool behind_ = false;
};

}  // namespace entrepot
