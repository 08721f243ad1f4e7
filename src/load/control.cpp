#include "load/control.h"

#include <chrono>

namespace entrepot::load {

void Control::ready() {
    std::lock_guard guard(lock_);
    ++ready_;
    changed_.notify_all();
}

void Control::done() {
    std::lock_guard guard(lock_);
    ++done_;
    changed_.notify_all();
}

void Control::fail(std::string why) {
    std::lock_guard guard(lock_);
    if (failure_.empty()) failure_ = std::move(why);
    changed_.notify_all();
}

std::string Control::failure() const {
    std::lock_guard guard(lock_);
    return failure_;
}

template <typename Reached>
bool Control::wait(Reached reached, Instant until) {
    std::unique_lock guard(lock_);
    auto woken = [&] { return reached() || !failure_.empty(); };
    // steady_clock is CLOCK_MONOTONIC, the clock of Instant.
    changed_.wait_until(guard, std::chrono::steady_clock::time_point(Duration(until.ns)), woken);
    return reached();
}

bool Control::wait_ready(std::size_t workers, Instant until) {
    return wait([&] { return ready_ == workers; }, until);
}

bool Control::wait_done(std::size_t workers, Instant until) {
    return wait([&] { return done_ == workers; }, until);
}

}  // namespace entrepot::load
