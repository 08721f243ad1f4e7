#include "load/schedule.h"

#include "entrepot/base/assert.h"

#include <algorithm>
#include <cmath>

namespace entrepot::load {

Schedule Schedule::steady(double rate, Duration length) {
    ASSERT(rate > 0);
    Schedule schedule;
    schedule.interval_ns_ = 1e9 / rate;
    schedule.size_ = static_cast<std::size_t>(std::ceil(rate * (static_cast<double>(length.count()) / 1e9)));
    return schedule;
}

Schedule Schedule::storm(std::size_t count, Duration length) {
    Schedule schedule;
    schedule.size_ = count;
    schedule.interval_ns_ = count == 0 ? 0 : static_cast<double>(length.count()) / static_cast<double>(count);
    return schedule;
}

Schedule Schedule::replay(std::shared_ptr<const AccessLog> log, double speed, Duration length) {
    ASSERT(log && speed > 0);
    Schedule schedule;
    schedule.log_ = std::move(log);
    schedule.speed_ = speed;
    const auto& requests = schedule.log_->requests;
    auto last = Duration(static_cast<std::int64_t>(std::min(static_cast<double>(length.count()) * speed, 9e18)));
    auto beyond = std::upper_bound(requests.begin(), requests.end(), last,
                                   [](Duration end, const LoggedRequest& request) { return end < request.at; });
    schedule.size_ = static_cast<std::size_t>(beyond - requests.begin());
    return schedule;
}

Duration Schedule::due(std::size_t k) const noexcept {
    ASSERT(k < size_);
    if (log_) return Duration(static_cast<std::int64_t>(static_cast<double>(log_->requests[k].at.count()) / speed_));
    return Duration(static_cast<std::int64_t>(static_cast<double>(k) * interval_ns_));
}

}  // namespace entrepot::load
