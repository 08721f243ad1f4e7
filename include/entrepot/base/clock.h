#pragma once
// Time. Both functions are link-time seams: src/io/clock_system.cpp in the server, tests/sim in the simulator, so a
// whole box can run in virtual time. Every timer uses the monotonic clock; the wall clock is only for what people or
// peers see (token expiry, dates) and may step backwards.

#include <chrono>
#include <cstdint>

namespace entrepot {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Duration = std::chrono::nanoseconds;

/// A point on the monotonic clock, in nanoseconds. `Instant::never()` is later than any other.
struct Instant {
    std::int64_t ns = 0;
    static constexpr Instant never() { return {INT64_MAX}; }
    friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
    friend constexpr Duration operator-(Instant a, Instant b) { return Duration(a.ns - b.ns); }
    friend constexpr Instant operator+(Instant a, Duration d) {
        std::int64_t sum = 0;
        return __builtin_add_overflow(a.ns, d.count(), &sum) ? never() : Instant{sum};
    }
};

/// Monotonic now.
Instant now() noexcept;

/// Microseconds since 1970-01-01 UTC.
std::int64_t wall_microseconds() noexcept;
/// Seconds since then.
inline std::int64_t wall_seconds() noexcept { return wall_microseconds() / 1'000'000; }

}  // namespace entrepot
