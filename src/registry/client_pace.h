#pragma once
// How fast a client takes a body. One that takes next to nothing would hold its place for days: each minute spent waiting for it has to be worth 64 KiB.

#include "entrepot/server/exchange.h"

namespace entrepot {

class ClientPace {
  public:
    static constexpr std::uint64_t bytes_min = 64 * KiB;

    /// What it took while we waited. False when it is too slow.
    bool took(std::uint64_t bytes, Duration waited) noexcept {
        bytes_ += bytes;
        waited_ += waited;
        if (waited_ < send_stall_max) return true;
        bool enough = bytes_ >= bytes_min;
        bytes_ = 0;
        waited_ = Duration::zero();
        return enough;
    }

  private:
    std::uint64_t bytes_ = 0;
    Duration waited_ = Duration::zero();
};

}  // namespace entrepot
