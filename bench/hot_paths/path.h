#pragma once
// A hot path: a few hundred instructions that a request, a message or a stored byte pays for, under a name, so that its cost can be counted and compared with
// what it was.

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else  // without valgrind's headers times can be measured, instructions cannot be counted
#define CALLGRIND_TOGGLE_COLLECT
#endif

namespace entrepot::bench {

/// Says which part of the work counts: what stands between start() and stop(). Callgrind collects there, and the time that passes there is summed.
class Meter {
  public:
    void start() noexcept {
        started_ = std::chrono::steady_clock::now();
        CALLGRIND_TOGGLE_COLLECT;
    }
    void stop() noexcept {
        CALLGRIND_TOGGLE_COLLECT;
        elapsed_ += std::chrono::steady_clock::now() - started_;
    }
    /// Since the last call.
    double take_ns() noexcept { return std::chrono::duration<double, std::nano>(std::exchange(elapsed_, {})).count(); }

  private:
    std::chrono::steady_clock::time_point started_;
    std::chrono::steady_clock::duration elapsed_{};
};

struct HotPath {
    std::string name;
    /// Operations of one round: enough that what the loop around them costs does not show, few enough that all paths fit into seconds under callgrind.
    unsigned operations = 0;
    /// Does so many operations, between start() and stop() of the meter.
    std::function<void(Meter&, unsigned operations)> work;
    /// False where callgrind runs other code than the CPU does (it hides instructions that it does not know).
    bool counted = true;
};

/// For the common path: `work()` is one operation and all of it counts.
template <typename Work>
HotPath path(std::string name, unsigned operations, Work work) {
    auto repeat = [work](Meter& meter, unsigned times) mutable {
        meter.start();
        for (unsigned i = 0; i < times; ++i) work();
        meter.stop();
    };
    return {std::move(name), operations, std::move(repeat)};
}

/// The compiler must believe that `value` is used, and that all memory may have changed.
template <typename Value>
void keep(const Value& value) noexcept {
    asm volatile("" : : "r"(&value) : "memory");
}

/// Paths whose parts need a directory for files put them below this one.
using Paths = std::vector<HotPath>;
Paths text_paths();                               ///< heads, targets, rules
Paths byte_paths();                               ///< digests and sums
Paths loop_paths();                               ///< coroutines, messages, timers
Paths store_paths(const std::string& scratch);    ///< ledger, memory of a shard, eviction
Paths request_paths(const std::string& scratch);  ///< whole requests through a server

}  // namespace entrepot::bench
