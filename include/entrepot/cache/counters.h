#pragma once
// What the cache of one shard counted. One writer (the shard), read from any thread by the metrics page.

#include <atomic>
#include <cstdint>

namespace entrepot {

/// A counter with one writer: a plain add, seen by readers sooner or later.
class Counter {
  public:
    void add(std::uint64_t amount = 1) noexcept { value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed); }
    void subtract(std::uint64_t amount = 1) noexcept { value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed); }
    std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct CacheCounters {
    Counter fetches_stored;         ///< fetches whose digest matched and which were published
    Counter fetches_unstored;       ///< digest matched, but the store refused
    Counter fetches_failed;
    Counter followers;              ///< readers that joined a fetch somebody else had started
    Counter digest_mismatches;
    Counter stale_served;
    Counter resumes;                ///< broken upstream transfers continued with Range
    Counter running_fetches;        ///< gauge
    Counter hot_blobs;              ///< gauge: open descriptors kept
    Counter hot_bytes;              ///< gauge: small bodies kept in memory
};

}  // namespace entrepot
