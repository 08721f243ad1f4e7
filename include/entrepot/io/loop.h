#pragma once
// The heart of a shard: ready tasks, timers, messages from other threads, and the ring, in one turn after another.
//
//   turn():  run ready tasks -> take messages -> fire timers -> bulk work, for a while -> reap the ring (waiting only when nothing is ready)
//
// Bulk work is what costs a tenth of a millisecond and more at a time: slices of large bodies, chunks from the disk, digests of what arrives. It waits in a line of its own, of
// which a turn takes no more than bulk_time: however many large bodies are under way, a small request waits for one or two pieces of them and not for a piece of each.
//
// A Loop belongs to one thread; post() and stop() may be called from any.

#include "entrepot/base/clock.h"
#include "entrepot/io/ring.h"
#include "entrepot/io/timers.h"

#include <atomic>
#include <coroutine>
#include <deque>
#include <vector>

namespace entrepot {

/// Work for another thread's loop. It lives in its sender's frame until it was run: a mailbox needs no storage and cannot be full;
/// its bound is the number of tasks.
struct Message {
    void (*run)(Message&) = nullptr;
    Message* next = nullptr;
};

class Loop {
  public:
    explicit Loop(std::unique_ptr<Ring> ring);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// The loop whose turn this thread is in.
    static Loop& current() noexcept;
    static bool has_current() noexcept;
    /// Makes this loop current on the calling thread (the simulator switches between loops).
    void enter() noexcept;

    /// Turns until stop().
    void run();
    void stop() noexcept;
    bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
    /// One turn; waits in the ring only when nothing is ready, at most until `until`. Returns true when anything happened.
    bool turn(Instant until);

    /// Resumes `task` in a later step of this loop, never inside the caller.
    void resume_later(std::coroutine_handle<> task) { ready_.push_back(task); }
    /// Resumes `task` when its turn among the bulk work has come; in order, and always in a later step.
    void resume_in_bulk(std::coroutine_handle<> task) { bulk_.push_back(task); }
    /// Resumes `task`, whose turn among the bulk work it is, before the others that wait there: small tasks may pass, bulk work may not.
    void resume_first_in_bulk(std::coroutine_handle<> task) { bulk_.push_front(task); }
    static constexpr Duration bulk_time = std::chrono::microseconds(250);  ///< of a turn; a piece that was begun is finished
    /// Whether bulk work waits for its turn: for whoever can wait longer.
    bool has_bulk() const noexcept { return !bulk_.empty(); }
    /// Runs the message on this loop's thread. Any thread.
    void post(Message& message) noexcept;

    Ring& ring() noexcept { return *ring_; }
    Timers& timers() noexcept { return timers_; }
    /// Monotonic time, read once a turn: for deadlines, not for measuring.
    Instant time() const noexcept { return time_; }
    bool idle() const noexcept { return ready_.empty() && bulk_.empty() && inbox_.load(std::memory_order_relaxed) == nullptr; }

    /// How long turns kept the loop away from the ring, in powers of two of 64 us: bucket i counts turns shorter than 64 us << i. Read by metrics from any thread.
    static constexpr int stall_buckets = 16;
    std::atomic<std::uint64_t> stalls[stall_buckets] = {};
    std::atomic<std::uint64_t> stall_sum_ns{0};
    std::atomic<std::uint64_t> stall_max_ns{0};
    /// How many turns there were. Any thread.
    std::uint64_t turns() const noexcept {
        std::uint64_t total = 0;
        for (auto& bucket : stalls) total += bucket.load(std::memory_order_relaxed);
        return total;
    }

    /// For how long the watchdog (watchdog.h) has found no turn; 0 while there are turns. Any thread: who has a choice gives such a loop nothing to do.
    std::atomic<std::int64_t> away_ns{0};
    bool away() const noexcept { return away_ns.load(std::memory_order_relaxed) > 0; }

  private:
    void run_ready();
    void run_bulk();
    bool take_messages();
    void note_stall(Instant started) noexcept;

    std::unique_ptr<Ring> ring_;
    Timers timers_;
    Instant time_;
    std::vector<std::coroutine_handle<>> ready_, running_;
    std::deque<std::coroutine_handle<>> bulk_;
    std::atomic<Message*> inbox_{nullptr};
    std::atomic<bool> asleep_{false};
    std::atomic<bool> stopping_{false};
};

}  // namespace entrepot
