#pragma once
// A log-linear histogram of times: fixed memory whatever the number of samples, and percentiles within 1.6 % of the truth.
// 64 linear steps in each power of two of nanoseconds; whatever is longer than 2^40 ns (18 minutes) counts as that.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace entrepot::bench {

class LatencyHistogram {
  public:
    void add(std::uint64_t nanoseconds) noexcept {
        counts_[slot_of(nanoseconds)]++;
        total_++;
        longest_ = std::max(longest_, nanoseconds);
        shortest_ = std::min(shortest_, nanoseconds);
    }

    std::uint64_t count() const noexcept { return total_; }
    std::uint64_t longest() const noexcept { return longest_; }
    std::uint64_t shortest() const noexcept { return total_ == 0 ? 0 : shortest_; }

    /// The upper edge of the step that holds the sample of rank `share` (0..1) * count; 0 without samples, never above the longest.
    std::uint64_t percentile(double share) const noexcept {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t slot = 0; slot < counts_.size(); ++slot) {
            seen += counts_[slot];
            if (seen > rank) return std::min(upper_edge_of(slot), longest_);
        }
        return longest_;
    }

    void clear() noexcept { *this = LatencyHistogram(); }

  private:
    static constexpr unsigned step_bits = 6;
    static constexpr unsigned top_bits = 40;
    static constexpr std::size_t slots = (top_bits - step_bits + 1) << step_bits;

    static std::size_t slot_of(std::uint64_t value) noexcept {
        value = std::min(value, (std::uint64_t{1} << top_bits) - 1);
        if (value < (1U << step_bits)) return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - step_bits;
        return (std::size_t{shift} + 1) * (1U << step_bits) + ((value >> shift) - (1U << step_bits));
    }

    static std::uint64_t upper_edge_of(std::size_t slot) noexcept {
        if (slot < (1U << step_bits)) return slot;
        const auto shift = (slot >> step_bits) - 1;
        return (((slot & ((1U << step_bits) - 1)) + (1U << step_bits) + 1) << shift) - 1;
    }

    std::array<std::uint64_t, slots> counts_{};
    std::uint64_t total_ = 0;
    std::uint64_t longest_ = 0;
    std::uint64_t shortest_ = UINT64_MAX;
};

}  // namespace entrepot::bench
