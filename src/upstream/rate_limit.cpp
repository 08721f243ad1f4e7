#include "upstream/rate_limit.h"

namespace entrepot {

Duration RateLimit::pause_left(Instant time) const noexcept {
    return Instant{paused_until_ns_.load(std::memory_order_relaxed)} - time;
}

void RateLimit::pause(Instant until) noexcept {
    auto known = paused_until_ns_.load(std::memory_order_relaxed);
    while (known < until.ns && !paused_until_ns_.compare_exchange_weak(known, until.ns, std::memory_order_relaxed)) {}
}

void RateLimit::note_left(std::int64_t left, Instant time) noexcept {
    if (left > reserve) return note_unlimited();
    std::int64_t plenty = 0;
    next_refresh_ns_.compare_exchange_strong(plenty, (time + scarce_probe_interval).ns, std::memory_order_relaxed);
}

bool RateLimit::spares_refresh(Instant time) noexcept {
    auto due = next_refresh_ns_.load(std::memory_order_relaxed);
    if (due == 0) return true;
    // Whoever moves the clock on finds out how it stands now.
    return time.ns >= due &&
           next_refresh_ns_.compare_exchange_strong(due, (time + scarce_probe_interval).ns, std::memory_order_relaxed);
}

}  // namespace entrepot
