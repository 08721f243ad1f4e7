#include "load/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace entrepot::load {
namespace {

constexpr Duration pause_on_terminal = milliseconds(200);
constexpr Duration pause_elsewhere = seconds(5);

double seconds_of(Duration time) { return static_cast<double>(time.count()) * 1e-9; }

}  // namespace

Progress::Progress(bool quiet, std::vector<const Live*> lives)
    : lives_(std::move(lives)), quiet_(quiet), terminal_(::isatty(STDERR_FILENO) == 1) {
    last_ = now();
    next_ = last_ + (terminal_ ? pause_on_terminal : pause_elsewhere);
}

Progress::Sum Progress::sum() const noexcept {
    Sum all;
    for (const auto* live : lives_) {
        all.requests += live->requests.load(std::memory_order_relaxed);
        all.errors += live->errors.load(std::memory_order_relaxed);
        all.bytes += live->bytes.load(std::memory_order_relaxed);
    }
    return all;
}

std::string Progress::line(Duration elapsed, Duration length, const Sum& all) const {
    auto since = std::max(seconds_of(now() - last_), 1e-3);
    auto rate = static_cast<double>(all.requests - before_.requests) / since;
    auto flow = static_cast<double>(all.bytes - before_.bytes) / since * 1e-9;
    auto upto = length > Duration(0) ? fmt::format(" of {:.0f}", seconds_of(length)) : std::string();
    return fmt::format("{:.1f}{} s   {:.0f} answers/s   {:.3f} GB/s   {} complete   {} errors", seconds_of(elapsed), upto, rate,
                       flow, all.requests, all.errors);
}

void Progress::tell(Duration elapsed, Duration length) {
    if (quiet_ || now() < next_) return;
    auto all = sum();
    auto text = line(elapsed, length, all);
    if (terminal_) std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
    else std::fprintf(stderr, "%s\n", text.c_str());
    std::fflush(stderr);
    shown_ = true;
    before_ = all;
    last_ = now();
    next_ = last_ + (terminal_ ? pause_on_terminal : pause_elsewhere);
}

void Progress::end() {
    if (shown_ && terminal_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
}

}  // namespace entrepot::load
