#include "load/popularity.h"

#include "entrepot/base/assert.h"

#include <algorithm>
#include <cmath>

namespace entrepot::load {

Popularity::Popularity(const std::vector<double>& weights, double exponent) {
    ASSERT(!weights.empty());
    upto_.reserve(weights.size());
    double sum = 0;
    for (std::size_t rank = 0; rank < weights.size(); ++rank) {
        ASSERT(weights[rank] > 0);
        upto_.push_back(sum += weights[rank] / std::pow(static_cast<double>(rank + 1), exponent));
    }
    for (auto& share : upto_) share /= sum;
}

std::size_t Popularity::draw(Dice& dice) const noexcept {
    auto found = std::upper_bound(upto_.begin(), upto_.end(), dice.share());
    // The last sum may be a rounding below 1.
    return std::min(static_cast<std::size_t>(found - upto_.begin()), upto_.size() - 1);
}

}  // namespace entrepot::load
