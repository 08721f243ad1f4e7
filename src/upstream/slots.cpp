#include "upstream/slots.h"

namespace entrepot {

Task<Slots::Admission> Slots::acquire(Instant deadline) {
    if (taken_ < slots_max_) {
        ++taken_;
        co_return Admission::admitted;
    }
    if (waiting_ >= waiting_max_) co_return Admission::queue_full;
    ++waiting_;
    // release() hands its slot over rather than freeing it, so that a late comer cannot overtake.
    bool handed_over = co_await freed_.wait(deadline);
    --waiting_;
    co_return handed_over ? Admission::admitted : Admission::too_late;
}

void Slots::release() noexcept {
    ASSERT(taken_ > 0);
    if (taken_ > slots_max_ || !freed_.notify_one()) --taken_;
}

void Slots::admit_all() noexcept {
    while (freed_.notify_one()) ++taken_;
}

}  // namespace entrepot
