#pragma once
// How often each of the targets is wanted: equally in turn, by Zipf's law over their order, or by weights.
// Immutable after construction; each worker draws with its own dice.

#include "load/dice.h"

#include <cstddef>
#include <vector>

namespace entrepot::load {

class Popularity {
  public:
    /// Target k of n is wanted in proportion to weight(k) / (k + 1)^exponent. `weights` is not empty; all of them positive.
    Popularity(const std::vector<double>& weights, double exponent);
    /// In [0, n).
    std::size_t draw(Dice& dice) const noexcept;

  private:
    std::vector<double> upto_;  // share of draws that fall on targets 0..k
};

}  // namespace entrepot::load
