#include "upstream/health.h"

#include <algorithm>

namespace entrepot {

bool Circuit::may_enter(Instant time) const noexcept {
    return failures_.load(std::memory_order_relaxed) < failures_to_open ||
           time.ns >= next_probe_ns_.load(std::memory_order_relaxed);
}

Circuit::Pass Circuit::enter(Instant time) noexcept {
    if (failures_.load(std::memory_order_relaxed) < failures_to_open) return Pass::free;
    auto due = next_probe_ns_.load(std::memory_order_relaxed);
    if (time.ns < due) return Pass::refused;
    // Whoever moves the clock on is the probe.
    bool moved = next_probe_ns_.compare_exchange_strong(due, (time + probe_interval).ns, std::memory_order_relaxed);
    return moved ? Pass::probe : Pass::refused;
}

void Circuit::failed(Instant time, int status) noexcept {
    last_status_.store(status, std::memory_order_relaxed);
    auto failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (failures == failures_to_open) next_probe_ns_.store((time + probe_interval).ns, std::memory_order_relaxed);
}

void RetryBudget::earn(Instant time) noexcept {
    auto fullest = (time + -saved_max).ns;
    auto empty_at = empty_at_ns_.load(std::memory_order_relaxed);
    while (empty_at > fullest) {
        auto earlier = std::max(fullest, empty_at - first_attempt_earns.count());
        if (empty_at_ns_.compare_exchange_weak(empty_at, earlier, std::memory_order_relaxed)) return;
    }
}

bool RetryBudget::spend(Instant time) noexcept {
    auto known = empty_at_ns_.load(std::memory_order_relaxed);
    for (;;) {
        auto empty_at = std::max(known, (time + -saved_max).ns);
        auto after = empty_at + retry_price.count();
        if (after > time.ns) return false;
        if (empty_at_ns_.compare_exchange_weak(known, after, std::memory_order_relaxed)) return true;
    }
}

}  // namespace entrepot
