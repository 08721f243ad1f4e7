#include "entrepot/io/frame_pool.h"

#include <pthread.h>

#include <array>
#include <new>
#include <utility>

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
    bool is_emptied_at_end = false;
};

// No destructor: glibc needs memory to remember one, at its first use on each thread, and ends the process where there is none. A key's value has its place already.
thread_local Pool pool;

void empty(void*) noexcept {
    for (auto*& head : pool.free) {
        while (head) ::operator delete(std::exchange(head, head->next));
    }
    pool.pooled = {};
}

/// The pool of this thread is emptied when the thread ends. Frames of the first thread stay until the process ends.
void empty_at_end() noexcept {
    static const struct Key {
        Key() noexcept { known = ::pthread_key_create(&key, empty) == 0; }
        pthread_key_t key{};
        bool known = false;
    } end_of_thread;
    if (end_of_thread.known) (void)::pthread_setspecific(end_of_thread.key, &pool);
    pool.is_emptied_at_end = true;
}

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
    if (!pool.is_emptied_at_end) empty_at_end();
    auto* free = static_cast<FreeFrame*>(frame);
    free->next = pool.free[index];
    pool.free[index] = free;
    ++pool.pooled[index];
}

std::size_t frames_alive() noexcept { return pool.alive; }

}  // namespace entrepot
