#include "entrepot/io/buffer_pool.h"

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

BufferPool::BufferPool(Ring& ring, std::size_t count) : count_(count) {
    std::size_t bytes = count * buffer_bytes;
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT(memory != MAP_FAILED);
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
    while (free_.empty()) {
        bool notified = co_await returned_.wait(deadline);
        if (!notified) co_return Buffer();
    }
    co_return try_take();
}

Buffer BufferPool::try_take() noexcept {
    if (free_.empty()) return {};
    auto* memory = free_.back();
    free_.pop_back();
    return Buffer(*this, {memory, buffer_bytes});
}

void BufferPool::give_back(MutableBytes memory) noexcept {
    free_.push_back(memory.data());
    returned_.notify_one();
}

}  // namespace entrepot
