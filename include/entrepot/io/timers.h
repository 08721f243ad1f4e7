#pragma once
// Timers of one shard: a hierarchical wheel (levels of 64 slots, 1 ms ticks, about 12 days of range), so that arming and disarming a
// deadline per request is O(1). A timer fires at or up to two ticks after its instant, never before. Owned by one Loop.

#include "entrepot/base/clock.h"
#include "entrepot/base/intrusive_list.h"

#include <array>
#include <cstdint>

namespace entrepot {

/// Intrusive: lives in the waiting frame or object. Disarm before destruction (ASSERTed by ListLink).
class Timer : public ListLink {
  public:
    using Fired = void (*)(Timer&);
    explicit Timer(Fired fired) noexcept : fired_(fired) {}
    bool armed() const noexcept { return linked(); }

  private:
    friend class Timers;
    Fired fired_;
    std::int64_t tick_ = 0;
    std::uint8_t level_ = 0, slot_ = 0;
};

class Timers {
  public:
    explicit Timers(Instant start) noexcept;

    /// Arms, or moves when armed. An instant in the past fires at the next fire_due(), never within the one that is running.
    void arm(Timer& timer, Instant when) noexcept;
    void disarm(Timer& timer) noexcept;

    /// Calls every timer that is due. A callback may arm or disarm any timer.
    void fire_due(Instant time) noexcept;

    /// No timer fires before this instant (it may be earlier than the first one, at a wheel boundary); never() when none is armed.
    Instant next_due() const noexcept;
    std::size_t armed() const noexcept { return armed_; }

  private:
    static constexpr int slot_bits = 6;
    static constexpr int slots = 1 << slot_bits;
    static constexpr int levels = 5;
    static constexpr std::int64_t tick_ns = 1'000'000;

    void place(Timer& timer) noexcept;
    void cascade(int level) noexcept;
    std::int64_t next_slot() const noexcept;

    std::array<std::array<IntrusiveList<Timer>, slots>, levels> wheel_;
    std::array<std::uint64_t, levels> occupied_{};  // one bit per slot that may hold timers
    IntrusiveList<Timer> due_;
    std::int64_t tick_;  // every timer with tick <= tick_ has fired or sits in due_
    std::size_t armed_ = 0;
};

}  // namespace entrepot
