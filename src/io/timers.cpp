#include "entrepot/io/timers.h"

#include <algorithm>
#include <bit>

namespace entrepot {

Timers::Timers(Instant start) noexcept : tick_(start.ns / tick_ns) {}

void Timers::arm(Timer& timer, Instant when) noexcept {
    disarm(timer);
    // Rounded up: a timer never fires early.
    timer.tick_ = when.ns / tick_ns + (when.ns % tick_ns ? 1 : 0);
    ++armed_;
    place(timer);
}

void Timers::disarm(Timer& timer) noexcept {
    if (!timer.armed()) return;
    timer.unlink();
    --armed_;
    // due_ timers carry level_ == levels; their slot has no bit.
    if (timer.level_ < levels && wheel_[timer.level_][timer.slot_].empty()) {
        occupied_[timer.level_] &= ~(1ull << timer.slot_);
    }
}

void Timers::place(Timer& timer) noexcept {
    std::int64_t distance = timer.tick_ - tick_;
    if (distance <= 0) {
        timer.level_ = levels;
        due_.push_back(timer);
        return;
    }
    // The level is where the timer's tick first differs from ours, so that a slot is always ahead of the hand.
    int highest_bit = 63 - std::countl_zero(static_cast<std::uint64_t>(timer.tick_ ^ tick_));
    int level = std::min(highest_bit / slot_bits, levels - 1);
    std::int64_t position = timer.tick_ >> (level * slot_bits);
    if (level == levels - 1)
        position = std::min(position, (tick_ >> (level * slot_bits)) + slots - 1);  // beyond the range: look again later
    auto slot = static_cast<std::uint8_t>(position & (slots - 1));
    timer.level_ = static_cast<std::uint8_t>(level);
    timer.slot_ = slot;
    wheel_[level][slot].push_back(timer);
    occupied_[level] |= 1ull << slot;
}

void Timers::cascade(int level) noexcept {
    int slot = static_cast<int>((tick_ >> (level * slot_bits)) & (slots - 1));
    occupied_[level] &= ~(1ull << slot);
    IntrusiveList<Timer> moving;
    moving.splice_back(wheel_[level][slot]);
    while (Timer* timer = moving.pop_front()) place(*timer);
}

void Timers::fire_due(Instant time) noexcept {
    std::int64_t target = time.ns / tick_ns;
    while (tick_ < target) {
        // Jump to the next tick at which something can happen: an occupied slot of level 0, or a boundary of a higher level.
        tick_ = std::min(target, next_slot());
        for (int level = levels - 1; level > 0; --level) {
            if ((tick_ & ((1ll << (level * slot_bits)) - 1)) == 0) cascade(level);
        }
        cascade(0);
    }
    // What a callback arms for the past waits for the next call: it must not keep the loop here.
    IntrusiveList<Timer> firing;
    firing.splice_back(due_);
    while (Timer* timer = firing.pop_front()) {
        --armed_;
        timer->fired_(*timer);
    }
}

Instant Timers::next_due() const noexcept {
    if (armed_ == 0) return Instant::never();
    if (!const_cast<Timers*>(this)->due_.empty()) return {tick_ * tick_ns};
    auto earliest = next_slot();
    if (earliest > INT64_MAX / tick_ns) return Instant::never();
    return {earliest * tick_ns};
}

/// The next tick at which a slot of any level is reached; far in the future when the wheel is empty.
std::int64_t Timers::next_slot() const noexcept {
    std::int64_t earliest = INT64_MAX;
    for (int level = 0; level < levels; ++level) {
        if (!occupied_[level]) continue;
        int shift = level * slot_bits;
        int hand = static_cast<int>((tick_ >> shift) & (slots - 1));
        // Slots are met in the order hand+1, hand+2, ... around the wheel.
        auto ahead = std::rotr(occupied_[level], (hand + 1) & (slots - 1));
        std::int64_t position = (tick_ >> shift) + 1 + std::countr_zero(ahead);
        earliest = std::min(earliest, position << shift);
    }
    return earliest;
}

}  // namespace entrepot
