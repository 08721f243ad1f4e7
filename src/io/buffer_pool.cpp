#include "entrepot/io/buffer_pool.h"

#include "entrepot/base/out_of_memory.h"

#include <sys/mman.h>

#include <cstring>

namespace entrepot {

Buffer& Buffer::operator=(Buffer&& other) noexcept {
    if (this != &other) {
        release();
        pool_ = std::exchange(other.pool_, nullptr);
        memory_ = other.memory_;
    }
    return *this;
}

void Buffer::release() noexcept {
    if (auto* pool = std::exchange(pool_, nullptr)) pool->give_back(memory_);
}

int Buffer::index() const noexcept { return pool_ && pool_->registered() ? 0 : -1; }

BufferPool::BufferPool(Ring& ring, std::size_t count) : count_(count), slots_(count, SIZE_MAX) {
    std::size_t bytes = count * buffer_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) end_out_of_memory();
    region_ = static_cast<std::byte*>(memory);
    registered_ = ring.register_buffers({region_, bytes});
    free_.reserve(count);
    for (std::size_t i = count; i > 0; --i) free_.push_back(region_ + (i - 1) * buffer_bytes);
}

BufferPool::~BufferPool() {
    ASSERT(out() == 0);
    ::munmap(region_, count_ * buffer_bytes);
}

Task<Buffer> BufferPool::take(Instant deadline) {
    bool mine = slots_.try_acquire();
    if (!mine) mine = co_await slots_.acquire(deadline);
    co_return mine ? lend() : Buffer();
}

Buffer BufferPool::try_take() noexcept { return slots_.try_acquire() ? lend() : Buffer(); }

Buffer BufferPool::lend() noexcept {
    ASSERT(!free_.empty());
    auto* memory = free_.back();
    free_.pop_back();
    return Buffer(*this, {memory, buffer_bytes});
}

void BufferPool::give_back(MutableBytes memory) noexcept {
    free_.push_back(memory.data());
    slots_.release();
}

}  // namespace entrepot
