#pragma once
// How an upstream is doing, as all shards see it: atomics that may be wrong by a request or two at the edges, which is harmless.

#include "entrepot/base/clock.h"

#include <atomic>

namespace entrepot {

/// Keeps us from asking an upstream that is down.
///
///   closed ──5 failures in a row──> open ──a probe each second──> closed when one is answered
class Circuit {
  public:
    static constexpr int failures_to_open = 5;
    static constexpr Duration probe_interval = std::chrono::seconds(1);

    enum class Pass : std::uint8_t { free, probe, refused };

    /// Whether enter() might let somebody through now.
    bool may_enter(Instant time) const noexcept;
    /// While the circuit is open one caller each second is the probe; the others are refused.
    Pass enter(Instant time) noexcept;
    void succeeded() noexcept { failures_.store(0, std::memory_order_relaxed); }
    /// `status` of the answer that was a failure; 0: there was none.
    void failed(Instant time, int status) noexcept;
    int last_status() const noexcept { return last_status_.load(std::memory_order_relaxed); }

  private:
    std::atomic<int> failures_{0};
    std::atomic<std::int64_t> next_probe_ns_{0};
    std::atomic<int> last_status_{0};
};

/// Bounds what retries add to the load of an upstream in trouble: a fifth of the first attempts and ten a second (Finagle's
/// budget), with at most ten saved up. One number: the instant at which the account was last empty. Each 100 ms since then are
/// one retry.
class RetryBudget {
  public:
    static constexpr Duration retry_price = std::chrono::milliseconds(100);
    static constexpr Duration first_attempt_earns = retry_price / 5;
    static constexpr Duration saved_max = 10 * retry_price;

    void earn(Instant time) noexcept;
    bool spend(Instant time) noexcept;

  private:
    std::atomic<std::int64_t> empty_at_ns_{0};
};

}  // namespace entrepot
