#pragma once
// Where the main thread and the workers meet: everybody ready, one moment of the start, the word to stop, everybody done.

#include "entrepot/base/clock.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>

namespace entrepot::load {

class Control {
  public:
    /// A worker has connected what it had to. Then it turns its loop until starts_at() is known.
    void ready();
    /// A worker's load is over; the last one says that all of it is.
    void done();
    /// A worker cannot work; the first reason is kept.
    void fail(std::string why);

    /// Waits until so many are ready, or done, or anything failed or was stopped, or `until`. True when they are.
    bool wait_ready(std::size_t workers, Instant until);
    bool wait_done(std::size_t workers, Instant until);

    void start_at(Instant moment) noexcept { starts_at_.store(moment.ns, std::memory_order_release); }
    Instant starts_at() const noexcept { return {starts_at_.load(std::memory_order_acquire)}; }
    void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }
    bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
    std::string failure() const;

    /// Workers whose load is not over; probes end with the last of them.
    std::atomic<std::size_t> loads{0};
    /// Requests, or pulls, that may still begin; a worker takes one before each.
    std::atomic<std::int64_t> left{INT64_MAX};

  private:
    template <typename Reached>
    bool wait(Reached reached, Instant until);

    mutable std::mutex lock_;
    std::condition_variable changed_;
    std::size_t ready_ = 0, done_ = 0;
    std::string failure_;
    std::atomic<std::int64_t> starts_at_{INT64_MAX};
    std::atomic<bool> stopped_{false};
};

}  // namespace entrepot::load
