#pragma once
// What a worker has done so far, for the progress line: written by the worker alone, read by the main thread at any time.

#include <atomic>
#include <cstdint>

namespace entrepot::load {

struct alignas(64) Live {
    std::atomic<std::uint64_t> requests{0}, errors{0}, bytes{0};

    /// One writer: a plain load and store, cheaper than a locked add.
    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t count) noexcept {
        counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
};

}  // namespace entrepot::load
