#pragma once
// Random numbers that a seed repeats (SplitMix64), so that two runs with one --seed ask for the same things in the same order.

#include <cstdint>

namespace entrepot::load {

class Dice {
  public:
    explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t bits() noexcept {
        std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }
    /// In [0, 1).
    double share() noexcept { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  private:
    std::uint64_t state_;
};

}  // namespace entrepot::load
