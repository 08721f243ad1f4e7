#pragma once
// The big buffers of a shard: one region of equal buffers, registered with the ring when RLIMIT_MEMLOCK allows it. Fills and cold reads use them.
// Bounded: when all are out, take() waits in order.

#include "entrepot/io/await.h"

#include <memory>
#include <vector>

namespace entrepot {

class BufferPool;

/// One buffer on loan; goes back to its pool at destruction. Moves with the operation that uses it.
class Buffer {
  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)), memory_(other.memory_) {}
    Buffer& operator=(Buffer&& other) noexcept;
    ~Buffer() { release(); }
    void release() noexcept;
    explicit operator bool() const noexcept { return pool_ != nullptr; }
    MutableBytes bytes() const noexcept { return memory_; }
    /// For read_file and write_file: 0 when the region is registered, else -1.
    int index() const noexcept;

  private:
    friend class BufferPool;
    Buffer(BufferPool& pool, MutableBytes memory) noexcept : pool_(&pool), memory_(memory) {}
    BufferPool* pool_ = nullptr;
    MutableBytes memory_;
};

class BufferPool {
  public:
    static constexpr std::size_t buffer_bytes = 256 * KiB;

    /// On the shard's thread: first touch places the memory on its node. 32 buffers are 8 MiB, what the default memlock limit allows.
    BufferPool(Ring& ring, std::size_t count);
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    /// Waits for a buffer, at most until the deadline; an empty Buffer then.
    Task<Buffer> take(Instant deadline);
    Buffer try_take() noexcept;
    std::size_t out() const noexcept { return count_ - free_.size(); }
    std::size_t count() const noexcept { return count_; }
    bool registered() const noexcept { return registered_; }

  private:
    friend class Buffer;
    Buffer lend() noexcept;
    void give_back(MutableBytes memory) noexcept;

    std::size_t count_;
    std::byte* region_ = nullptr;
    bool registered_ = false;
    std::vector<std::byte*> free_;
    Semaphore slots_;  ///< one per buffer: a returned buffer belongs to whoever waits longest, a late comer cannot take it
};

}  // namespace entrepot
