#pragma once
// Time, the way out, and the word that says somebody wants us to stop.

#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace entrepot::bench {

/// Set by SIGINT and SIGTERM; every loop looks at it.
inline volatile std::sig_atomic_t interrupted = 0;

inline std::uint64_t nanoseconds_of(clockid_t clock) {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) return 0;
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}
inline std::uint64_t now() { return nanoseconds_of(CLOCK_MONOTONIC); }
inline double seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

/// One line on stderr, then exit.
[[noreturn]] inline void stop_with(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));
[[noreturn]] inline void stop_with(int code, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::fputs("herd: ", stderr);
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
    va_end(arguments);
    std::exit(code);
}

}  // namespace entrepot::bench
