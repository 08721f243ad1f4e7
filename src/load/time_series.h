#pragma once
// Counts over time, in a fixed number of equal intervals. When a run outlasts them, neighbours are added up and each interval
// becomes twice as long, so that a second and a day of load take the same memory.

#include "entrepot/base/clock.h"

#include <cstdint>
#include <vector>

namespace entrepot::load {

class TimeSeries {
  public:
    struct Slot {
        std::uint64_t requests = 0, errors = 0, bytes = 0;
        void add(const Slot& other) noexcept {
            requests += other.requests;
            errors += other.errors;
            bytes += other.bytes;
        }
    };
    static constexpr std::size_t slots_max = 512;

    TimeSeries() : slots_(slots_max) {}
    /// Forgets everything; `first` is the beginning of the first interval.
    void start_at(Instant first) noexcept;
    /// The slot of a moment; what was before the start counts as the start.
    Slot& at(Instant time) noexcept;
    void add(const TimeSeries& other);

    Duration interval() const noexcept { return interval_; }
    /// Every slot up to the last one that was asked for.
    const Slot* begin() const noexcept { return slots_.data(); }
    const Slot* end() const noexcept { return slots_.data() + used_; }
    std::size_t size() const noexcept { return used_; }

  private:
    static constexpr Duration interval_least = milliseconds(100);
    void widen() noexcept;

    Instant first_;
    Duration interval_ = interval_least;
    std::vector<Slot> slots_;
    std::size_t used_ = 0;
};

}  // namespace entrepot::load
