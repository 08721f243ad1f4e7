#pragma once
// The account of disk space: everything that lies on the volumes or has been promised to, in bytes as the disk counts them. It never exceeds its limit,
// except when the limit is lowered below what is stored. Any thread; making room when it is full is the store's business.

#include "entrepot/base/assert.h"
#include "entrepot/base/bytes.h"

#include <atomic>
#include <utility>

namespace entrepot {

/// What a file of `size` bytes takes: whole blocks, at least one.
constexpr std::uint64_t disk_bytes(std::uint64_t size) noexcept {
    constexpr std::uint64_t block_bytes = 4096;
    return size == 0 ? block_bytes : (size + block_bytes - 1) / block_bytes * block_bytes;
}

class Capacity {
  public:
    void set_limit(std::uint64_t bytes) noexcept { limit_.store(bytes, std::memory_order_relaxed); }
    std::uint64_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
    std::uint64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

    /// True when the bytes fit; they are ours then.
    bool try_take(std::uint64_t bytes) noexcept;
    /// For what lies on the disk already, whatever the limit says.
    void take_regardless(std::uint64_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
    void give_back(std::uint64_t bytes) noexcept;

  private:
    std::atomic<std::uint64_t> used_{0}, limit_{0};
};

/// Bytes that a writer may use. What is left of it at destruction goes back to the account.
class Reservation {
  public:
    Reservation() = default;
    /// Takes over bytes that were taken from `account` already.
    Reservation(Capacity& account, std::uint64_t bytes) noexcept : account_(&account), bytes_(bytes) {}
    Reservation(Reservation&& other) noexcept : account_(other.account_), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation&& other) noexcept {
        release();
        account_ = other.account_;
        bytes_ = std::exchange(other.bytes_, 0);
        return *this;
    }
    ~Reservation() { release(); }

    std::uint64_t bytes() const noexcept { return bytes_; }
    void add(std::uint64_t taken) noexcept { bytes_ += taken; }
    /// The first `bytes` stay taken, by a blob or a kept partial file that now owns them; the rest goes back.
    void become_use(std::uint64_t bytes) noexcept;
    void release() noexcept { become_use(0); }

  private:
    Capacity* account_ = nullptr;
    std::uint64_t bytes_ = 0;
};

}  // namespace entrepot
