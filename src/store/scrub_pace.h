#pragma once
// When the scrub may read again: so that a pass over everything stored takes about the period, whatever that is by then. What was missed (the server was off, the disk
// was slow) is not made up for in a hurry, the pass just takes longer. Pure.

#include "entrepot/base/clock.h"

#include <cstdint>

namespace entrepot {

class ScrubPace {
  public:
    /// It begins as if it had just read `first_bytes`: nothing is due at once.
    ScrubPace(Duration period, std::uint64_t first_bytes, Instant time) noexcept;

    /// How long it has to wait when a pass has `pass_bytes` to read; zero: it may read. Never longer than the period.
    Duration wait(std::uint64_t pass_bytes, Instant time) noexcept;
    /// It has read so much.
    void spend(std::uint64_t bytes) noexcept { debt_bytes_ += static_cast<double>(bytes); }

  private:
    double period_ns_;
    double debt_bytes_;
    Instant last_;
};

}  // namespace entrepot
