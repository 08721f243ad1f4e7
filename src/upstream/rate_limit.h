#pragma once
// What an upstream lets one of its callers ask for: the pause that a 429 wants, and how little is left of a rate limit. Atomics that all shards see.

#include "entrepot/base/clock.h"

#include <atomic>
#include <cstdint>

namespace entrepot {

class RateLimit {
  public:
    static constexpr std::int64_t reserve = 5;  ///< with so little left, tags are not asked for again
    static constexpr Duration scarce_probe_interval = std::chrono::minutes(1);

    Duration pause_left(Instant time) const noexcept;
    /// Never earlier than before: of answers that were on their way together the one that asks for most counts.
    void pause(Instant until) noexcept;

    /// Upstream told what is left.
    void note_left(std::int64_t left, Instant time) noexcept;
    /// An answer that tells it where there is a limit did not.
    void note_unlimited() noexcept { next_refresh_ns_.store(0, std::memory_order_relaxed); }
    /// See Upstreams::spares_refresh. While little is left, one caller each scarce_probe_interval is let through.
    bool spares_refresh(Instant time) noexcept;

  private:
    std::atomic<std::int64_t> paused_until_ns_{0};
    std::atomic<std::int64_t> next_refresh_ns_{0};  // 0: plenty is left
};

}  // namespace entrepot
