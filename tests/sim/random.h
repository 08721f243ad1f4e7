#pragma once
// The simulator's generator: xoshiro256** seeded through splitmix64 (both public domain algorithms by Blackman and Vigna). One seed decides a whole run,
// so nothing here may depend on addresses, real time or the order of a hash table.

#include "entrepot/base/assert.h"
#include "entrepot/base/clock.h"

#include <array>
#include <bit>
#include <cstdint>
#include <iterator>

namespace entrepot::sim {

class Random {
  public:
    explicit Random(std::uint64_t seed) noexcept {
        for (auto& word : state_) word = split_mix(seed);
    }

    std::uint64_t next() noexcept {
        std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    __extension__ using Wide = unsigned __int128;

    /// 0 <= result < bound. The bias of multiply-and-shift is below 2^-32 for the bounds of a simulation.
    std::uint64_t below(std::uint64_t bound) noexcept {
        ASSERT(bound > 0);
        return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
    }
    /// Both ends included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept { return low + below(high - low + 1); }
    Duration span(Duration low, Duration high) noexcept {
        return Duration(static_cast<std::int64_t>(
            between(static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
    }
    /// Small values as likely as large ones, by order of magnitude: sizes at which things go wrong are rarely the big ones.
    std::uint64_t skewed(std::uint64_t high) noexcept {
        int bits = static_cast<int>(below(static_cast<std::uint64_t>(std::bit_width(high)) + 1));
        std::uint64_t bound = bits == 0 ? 1 : std::uint64_t{1} << bits;
        return below(bound < high ? bound : high + 1);
    }
    double fraction() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
    /// Draws nothing when the answer is certain, so that a fault that is switched off costs nothing.
    bool chance(double probability) noexcept { return probability > 0 && fraction() < probability; }
    template <typename Sequence>
    auto& pick(Sequence& sequence) noexcept {
        return sequence[below(std::size(sequence))];
    }
    Random fork() noexcept { return Random(next()); }

  private:
    static std::uint64_t split_mix(std::uint64_t& seed) noexcept {
        std::uint64_t word = (seed += 0x9e3779b97f4a7c15);
        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
        word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
        return word ^ (word >> 31);
    }
    std::array<std::uint64_t, 4> state_;
};

}  // namespace entrepot::sim
