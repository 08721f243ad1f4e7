#include "load/time_series.h"

#include "entrepot/base/assert.h"

#include <algorithm>

namespace entrepot::load {

void TimeSeries::start_at(Instant first) noexcept {
    first_ = first;
    interval_ = interval_least;
    std::fill(slots_.begin(), slots_.end(), Slot{});
    used_ = 0;
}

TimeSeries::Slot& TimeSeries::at(Instant time) noexcept {
    auto since = std::max(time - first_, Duration(0));
    while (static_cast<std::size_t>(since / interval_) >= slots_max) widen();
    auto index = static_cast<std::size_t>(since / interval_);
    used_ = std::max(used_, index + 1);
    return slots_[index];
}

void TimeSeries::widen() noexcept {
    for (std::size_t index = 0; index < slots_max; ++index) {
        auto slot = slots_[index];
        slots_[index] = {};
        slots_[index / 2].add(slot);
    }
    used_ = (used_ + 1) / 2;
    interval_ *= 2;
}

void TimeSeries::add(const TimeSeries& other) {
    if (other.used_ == 0) return;
    TimeSeries theirs = other;
    while (theirs.interval_ < interval_) theirs.widen();
    while (interval_ < theirs.interval_) widen();
    for (std::size_t index = 0; index < theirs.used_; ++index) slots_[index].add(theirs.slots_[index]);
    used_ = std::max(used_, theirs.used_);
}

}  // namespace entrepot::load
