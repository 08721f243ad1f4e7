#include "store/scrub_pace.h"

#include "entrepot/base/assert.h"

#include <algorithm>
#include <cmath>

namespace entrepot {

ScrubPace::ScrubPace(Duration period, std::uint64_t first_bytes, Instant time) noexcept
    : period_ns_(static_cast<double>(period.count())), debt_bytes_(static_cast<double>(first_bytes)), last_(time) {
    ASSERT(period > Duration{0});
}

Duration ScrubPace::wait(std::uint64_t pass_bytes, Instant time) noexcept {
    auto pass = static_cast<double>(std::max<std::uint64_t>(pass_bytes, 1));
    auto bytes_per_ns = pass / period_ns_;
    auto paid = bytes_per_ns * static_cast<double>((time - last_).count());
    // Half of the store may have left meanwhile: no debt is larger than a pass.
    debt_bytes_ = std::max(0.0, std::min(debt_bytes_, pass) - paid);
    last_ = time;
    return Duration(static_cast<std::int64_t>(std::ceil(debt_bytes_ / bytes_per_ns)));
}

}  // namespace entrepot
