#pragma once
// Work that may block or take long (ledger commits, name resolution, reading secrets, hashing passwords) runs on threads of its own, never on a shard. A link-time seam:
// src/io/blocking_threads.cpp in the server; the simulator runs the work at a drawn virtual time.

#include "entrepot/io/await.h"

namespace entrepot {

enum class Lane : std::uint8_t {
    ledger,    ///< jobs run in the order in which they were given
    resolver,  ///< name resolution and other slow reads; no order
    password,  ///< at low priority: hashes that are slow on purpose, which must delay neither names nor shards; no order
};
constexpr std::size_t lane_count = 3;
constexpr unsigned lane_threads[lane_count] = {1, 4, 2};

/// A job for a lane; lives in the waiting frame. `work` runs on a thread of the lane, `done` as a message on the loop that gave it.
struct BlockingJob : Message {
    void (*work)(BlockingJob&) = nullptr;
    Loop* origin = nullptr;
    BlockingJob* next_job = nullptr;
};

/// Seam. Queues the job; after work() ran, posts the job to its origin. The queue's bound is the number of waiting tasks.
void give_to_lane(Lane lane, BlockingJob& job) noexcept;
/// Starts the threads (before any shard), and ends them after their queues ran empty.
void start_lanes();
void stop_lanes() noexcept;

/// `auto x = co_await run_blocking(Lane::ledger, function);` with `function` a named object that outlives the wait.
template <typename Function>
class [[nodiscard]] RunBlocking : private BlockingJob {
  public:
    using Value = decltype(std::declval<Function&>()());

    RunBlocking(Lane lane, Function& function) noexcept : lane_(lane), function_(function) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
        waiter_ = waiter;
        origin = &Loop::current();
        work = &RunBlocking::on_lane;
        run = &RunBlocking::on_origin;
        give_to_lane(lane_, *this);
    }
    Value await_resume() noexcept { return std::move(*value_); }

  private:
    static void on_lane(BlockingJob& job) noexcept {
        auto& self = static_cast<RunBlocking&>(job);
        self.value_.emplace(self.function_());
    }
    static void on_origin(Message& message) noexcept {
        auto& self = static_cast<RunBlocking&>(static_cast<BlockingJob&>(message));
        self.origin->resume_later(self.waiter_);
    }

    Lane lane_;
    Function& function_;
    std::coroutine_handle<> waiter_;
    std::optional<Value> value_;
};

template <typename Function>
RunBlocking<Function> run_blocking(Lane lane, Function& function) noexcept {
    return RunBlocking<Function>(lane, function);
}

}  // namespace entrepot
