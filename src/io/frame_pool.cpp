#include "entrepot/io/frame_pool.h"

#include <array>
#include <new>

namespace entrepot {
namespace {

constexpr std::size_t class_bytes = 64;
constexpr std::size_t class_count = 64;            // frames up to 4 KiB are pooled
constexpr std::size_t pooled_per_class_max = 512;  // beyond that a burst's frames go back to the allocator

struct FreeFrame {
    FreeFrame* next;
};

struct Pool {
    std::array<FreeFrame*, class_count> free{};
    std::array<std::size_t, class_count> pooled{};
    std::size_t alive = 0;

    ~Pool() {
        for (auto*& head : free) {
            while (head) {
                auto* next = head->next;
                ::operator delete(head);
                head = next;
            }
        }
    }
};

thread_local Pool pool;

std::size_t class_of(std::size_t bytes) { return (bytes + class_bytes - 1) / class_bytes; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
    ++pool.alive;
    auto index = class_of(bytes);
    if (index >= class_count) return ::operator new(bytes);
    if (auto* frame = pool.free[index]) {
        pool.free[index] = frame->next;
        --pool.pooled[index];
        return frame;
    }
    return ::operator new(index* class_bytes);
}

void free_frame(void* frame, std::size_t bytes) noexcept {
    --pool.alive;
    auto index = class_of(bytes);
    if (index >= class_count || pool.pooled[index] >= pooled_per_class_max) return ::operator delete(frame);
    auto* free = static_cast<FreeFrame*>(frame);
    free->next = pool.free[index];
    pool.free[index] = free;
    ++pool.pooled[index];
}

std::size_t frames_alive() noexcept { return pool.alive; }

}  // namespace entrepot
