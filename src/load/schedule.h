#pragma once
// When requests are due in an open loop: at a steady rate, spread over a storm, or as a log has them. The moments are fixed
// before the first request leaves, and latency counts from them, so that a server which stalls cannot make the load wait for it
// (no coordinated omission).

#include "entrepot/base/clock.h"
#include "load/access_log.h"

#include <cstddef>
#include <memory>
#include <optional>

namespace entrepot::load {

class Schedule {
  public:
    /// `rate` a second for `length`.
    static Schedule steady(double rate, Duration length);
    /// `count` of them, evenly within `length`; all at once when that is zero.
    static Schedule storm(std::size_t count, Duration length);
    /// As in the log, `speed` times as fast; what would be due after `length` is left out.
    static Schedule replay(std::shared_ptr<const AccessLog> log, double speed, Duration length);

    std::size_t size() const noexcept { return size_; }
    /// When the k-th is due, counted from the start; k < size().
    Duration due(std::size_t k) const noexcept;
    /// The k-th request of a replayed log, else null.
    const LoggedRequest* logged(std::size_t k) const noexcept { return log_ ? &log_->requests[k] : nullptr; }
    /// When the last one is due.
    Duration length() const noexcept { return size_ == 0 ? Duration(0) : due(size_ - 1); }

  private:
    std::size_t size_ = 0;
    double interval_ns_ = 0;
    double speed_ = 1;
    std::shared_ptr<const AccessLog> log_;
};

}  // namespace entrepot::load
