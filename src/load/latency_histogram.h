#pragma once
// A log-linear histogram of times: fixed memory whatever the number of samples, and percentiles at most 0.8 % above the truth:
// 128 linear steps in each power of two of nanoseconds. What is longer than 2^41 ns (36 minutes) counts as that long.

#include "entrepot/base/clock.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace entrepot::load {

class LatencyHistogram {
  public:
    void add(Duration time) noexcept {
        auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
        counts_[slot_of(value)]++;
        total_++;
        sum_ += value;
        longest_ = std::max(longest_, value);
        shortest_ = std::min(shortest_, value);
    }
    void add(const LatencyHistogram& other) noexcept {
        for (std::size_t slot = 0; slot < slots; ++slot) counts_[slot] += other.counts_[slot];
        total_ += other.total_;
        sum_ += other.sum_;
        longest_ = std::max(longest_, other.longest_);
        shortest_ = std::min(shortest_, other.shortest_);
    }

    std::uint64_t count() const noexcept { return total_; }
    Duration longest() const noexcept { return Duration(longest_); }
    Duration shortest() const noexcept { return Duration(total_ == 0 ? 0 : shortest_); }
    Duration mean() const noexcept { return Duration(total_ == 0 ? 0 : sum_ / total_); }

    /// The upper edge of the step that holds the sample of this rank, `share` in 0..1 of all; 0 without samples, never above
    /// the longest.
    Duration percentile(double share) const noexcept {
        auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t slot = 0; slot < slots; ++slot) {
            seen += counts_[slot];
            if (seen > rank) return Duration(std::min(upper_edge_of(slot), longest_));
        }
        return Duration(longest_);
    }

  private:
    static constexpr unsigned step_bits = 7;
    static constexpr unsigned top_bits = 41;
    static constexpr std::uint64_t steps = std::uint64_t{1} << step_bits;
    static constexpr std::size_t slots = (top_bits - step_bits + 1) << step_bits;

    static std::size_t slot_of(std::uint64_t value) noexcept {
        value = std::min(value, (std::uint64_t{1} << top_bits) - 1);
        if (value < steps) return value;
        auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - step_bits;
        return (std::size_t{shift} + 1) * steps + ((value >> shift) - steps);
    }
    static std::uint64_t upper_edge_of(std::size_t slot) noexcept {
        if (slot < steps) return slot;
        auto shift = (slot >> step_bits) - 1;
        return (((slot & (steps - 1)) + steps + 1) << shift) - 1;
    }

    std::array<std::uint64_t, slots> counts_{};
    std::uint64_t total_ = 0, sum_ = 0;
    std::uint64_t longest_ = 0, shortest_ = UINT64_MAX;
};

}  // namespace entrepot::load
