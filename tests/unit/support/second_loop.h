#pragma once
// A further loop on a thread of its own, for tests of what crosses shards. A named function that returns a task is started there by run(); what it captures must
// outlive the task.

#include "support/run_task.h"

#include <future>
#include <thread>

namespace entrepot {

inline Instant soon_enough() { return now() + seconds(20); }

class SecondLoop {
  public:
    SecondLoop() {
        std::promise<Loop*> opened;
        auto ready = opened.get_future();
        thread_ = std::thread([&opened] {
            auto ring = Ring::open(TestLoop::small_ring());
            if (!ring) return opened.set_value(nullptr);
            Loop loop(*std::move(ring));
            opened.set_value(&loop);
            loop.run();
            for (int turns = 0; turns < 100 && (!loop.idle() || loop.ring().in_flight() > 0); ++turns)
                loop.turn(now() + milliseconds(1));
        });
        loop_ = ready.get();
        REQUIRE(loop_);
    }
    ~SecondLoop() {
        loop_->stop();
        thread_.join();
    }
    Loop& loop() { return *loop_; }

    /// Awaited on the calling loop.
    template <typename Function>
    auto run(Function& function) {
        return carry(*loop_, function);
    }

  private:
    template <typename Function>
    static Task<typename RunOn<Function>::Value> carry(Loop& loop, Function& function) {
        co_return co_await run_on(loop, function);
    }

    std::thread thread_;
    Loop* loop_ = nullptr;
};

}  // namespace entrepot
