#pragma once
// Sees from outside that a loop does not turn: its thread was stopped, waits in a system call, or computes without end. It looks from a thread of its own, which does nothing
// else (the program's first): no shard can be relied on for that, and a stopped thread says nothing about itself.
//
// A loop with nothing to do is woken at each look, so that only one that cannot turn is found away. What it finds stands in Loop::away_ns, for metrics, readiness and for
// acceptors, which give such a shard no more connections.

#include "entrepot/base/clock.h"

#include <sys/types.h>

#include <atomic>
#include <mutex>
#include <vector>

namespace entrepot {

class Loop;

class Watchdog {
  public:
    static constexpr Duration interval = std::chrono::seconds(1);  ///< between looks
    static constexpr Duration report_after =
        std::chrono::seconds(2);  ///< then it is said, and again each time that it has become twice as long

    /// From the loop's own thread, `thread` (gettid). The loop stays until forget().
    void watch(unsigned shard, Loop& loop, pid_t thread);
    /// From that thread, before the loop goes.
    void forget(unsigned shard) noexcept;

    /// Once an interval, always from the same thread. When the process as a whole did not run, that is not held against the loops: a look counts for two intervals at most.
    void look(Instant at);

    /// How often a loop was found away for report_after and more. Any thread.
    std::uint64_t stalls() const noexcept { return stalls_.load(std::memory_order_relaxed); }

  private:
    struct Watched {
        unsigned shard = 0;
        Loop* loop = nullptr;
        pid_t thread = 0;
        std::uint64_t turns_seen = 0;
        Duration away{0}, said_at{0};
    };
    void look_at(Watched& watched, Duration since);

    std::mutex lock_;  ///< held for a look, and by a shard's thread at its beginning and its end
    std::vector<Watched> watched_;
    Instant last_look_ = Instant::never();
    std::atomic<std::uint64_t> stalls_{0};
};

}  // namespace entrepot
