#include "store/capacity.h"

namespace entrepot {

bool Capacity::try_take(std::uint64_t bytes) noexcept {
    auto used = used_.load(std::memory_order_relaxed);
    for (;;) {
        auto limit = limit_.load(std::memory_order_relaxed);
        if (used > limit || bytes > limit - used) return false;
        if (used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed)) return true;
    }
}

void Capacity::give_back(std::uint64_t bytes) noexcept {
    auto before = used_.fetch_sub(bytes, std::memory_order_relaxed);
    ASSERT(before >= bytes);
}

void Reservation::become_use(std::uint64_t bytes) noexcept {
    ASSERT(bytes <= bytes_);
    auto rest = std::exchange(bytes_, 0) - bytes;
    if (rest > 0) account_->give_back(rest);
}

}  // namespace entrepot
