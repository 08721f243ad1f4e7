#pragma once
// A real loop for tests that wait: `TestLoop loop; auto result = loop.run(resolve(...));`. The task starts when it is called, so make the
// TestLoop first. A task that does not end within the time limit fails the test instead of hanging the runner.

#include "entrepot/io/await.h"
#include "entrepot/io/loop.h"

#include "support/counting_ring.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>

namespace entrepot {

class TestLoop {
  public:
    explicit TestLoop(const Ring::Options& options = small_ring()) : loop_(open(options)) {}
    /// Whatever a test left queued (a task's end, an answer to cancel) is finished before the loop goes.
    ~TestLoop() {
        for (int turns = 0; turns < 100 && (!loop_.idle() || loop_.ring().in_flight() > 0); ++turns)
            loop_.turn(now() + milliseconds(1));
    }

    Loop& operator*() noexcept { return loop_; }
    Loop* operator->() noexcept { return &loop_; }
    CountingRing& ring() noexcept { return static_cast<CountingRing&>(loop_.ring()); }

    template <typename T>
    T run(Task<T> task, Duration time_limit = seconds(30)) {
        run_until([&] { return task.done(); }, time_limit);
        return task.await_resume();
    }

    /// Turns until `reached()`; gives up with the place of each live task when the time limit passes.
    void run_until(const std::function<bool()>& reached, Duration time_limit = seconds(30)) {
        auto limit = now() + time_limit;
        while (!reached()) {
            // A turn runs what is ready and then waits: look between the two.
            bool worked = loop_.turn(Instant{0});
            if (!worked && !reached()) loop_.turn(now() + milliseconds(50));
            if (now() < limit || reached()) continue;
            print_live_tasks();
            // A suspended task cannot be destroyed, so there is no way back into the test.
            MESSAGE("a task did not end in time");
            std::abort();
        }
    }

    /// Waits until every task of the group has ended.
    void finish(TaskGroup& group, Duration time_limit = seconds(30)) {
        run_until([&] { return group.running() == 0; }, time_limit);
    }

    void run_for(Duration length) {
        for (auto end = now() + length; now() < end;) loop_.turn(end);
        loop_.turn(Instant{0});  // reads the clock: the loop's time is the start of its last turn
    }

    static Ring::Options small_ring() {
        Ring::Options options;
        options.entries = 256;
        options.completions = 2048;
        options.provided_buffers = 64;
        return options;
    }

  private:
    static std::unique_ptr<Ring> open(const Ring::Options& options) {
        auto ring = Ring::open(options);
        if (!ring) FAIL(ring.error());
        return std::make_unique<CountingRing>(std::move(*ring));
    }

    Loop loop_;
};

}  // namespace entrepot
