#pragma once
// How many exchanges one shard has with one upstream at a time. Those beyond wait in the order of their coming; the queue is
// bounded too.

#include "entrepot/io/await.h"

namespace entrepot {

class Slots {
  public:
    enum class Admission : std::uint8_t { admitted, queue_full, too_late };

    Slots(std::size_t slots_max, std::size_t waiting_max) noexcept : slots_max_(slots_max), waiting_max_(waiting_max) {}

    /// Whoever is admitted gives the slot back by release().
    Task<Admission> acquire(Instant deadline);
    void release() noexcept;
    /// Shutdown: admits everybody who waits, whatever the bound; each finds out at its next step that there is nothing left to
    /// do.
    void admit_all() noexcept;

    std::size_t taken() const noexcept { return taken_; }
    std::size_t waiting() const noexcept { return waiting_; }

  private:
    std::size_t slots_max_, waiting_max_;
    std::size_t taken_ = 0, waiting_ = 0;
    Condition freed_;
};

}  // namespace entrepot
