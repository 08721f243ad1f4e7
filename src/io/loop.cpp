#include "entrepot/io/loop.h"

#include <bit>

namespace entrepot {
namespace {
thread_local Loop* current_loop = nullptr;
}

Loop::Loop(std::unique_ptr<Ring> ring) : ring_(std::move(ring)), timers_(now()), time_(now()) { enter(); }

Loop::~Loop() {
    ASSERT(idle());
    if (current_loop == this) current_loop = nullptr;
}

Loop& Loop::current() noexcept {
    ASSERT(current_loop);
    return *current_loop;
}

bool Loop::has_current() noexcept { return current_loop != nullptr; }

void Loop::enter() noexcept { current_loop = this; }

void Loop::run() {
    enter();
    while (!stopping()) turn(Instant::never());
}

void Loop::stop() noexcept {
    stopping_.store(true);
    ring_->wake();
}

bool Loop::turn(Instant until) {
    auto started = now();
    time_ = started;
    run_ready();
    bool worked = take_messages();
    timers_.fire_due(time_);
    bool bulk = !bulk_.empty();
    worked |= bulk || !ready_.empty();
    ring_->flush_file_requests();
    if (bulk) run_bulk();
    note_stall(started);
    if (!ready_.empty() || (bulk && !bulk_.empty())) return ring_->reap(Instant{0}), true;

    // Announce sleep before the last look at the inbox: a sender either sees the flag and wakes us, or we see its message.
    asleep_.store(true, std::memory_order_seq_cst);
    bool empty = inbox_.load(std::memory_order_seq_cst) == nullptr;
    auto wait_until = empty && !stopping() ? std::min(until, timers_.next_due()) : Instant{0};
    auto completed = ring_->reap(wait_until);
    asleep_.store(false, std::memory_order_relaxed);
    return worked || completed > 0 || !empty;
}

void Loop::run_ready() {
    running_.swap(ready_);
    for (auto task : running_) task.resume();
    running_.clear();
}

void Loop::run_bulk() {
    // At least one piece: a shard full of small requests must not keep a large body waiting for ever.
    auto until = now() + bulk_time;
    do {
        auto task = bulk_.front();
        bulk_.pop_front();
        task.resume();
        // A read of pages that are in memory copies them inside its submission: that is part of the piece.
        ring_->flush_file_requests();
    } while (!bulk_.empty() && now() < until);
}

void Loop::post(Message& message) noexcept {
    message.next = inbox_.load(std::memory_order_relaxed);
    while (!inbox_.compare_exchange_weak(message.next, &message, std::memory_order_seq_cst, std::memory_order_relaxed)) {}
    if (asleep_.exchange(false, std::memory_order_seq_cst)) ring_->wake();
}

bool Loop::take_messages() {
    if (!inbox_.load(std::memory_order_relaxed)) return false;
    Message* newest_first = inbox_.exchange(nullptr, std::memory_order_acquire);
    Message* in_order = nullptr;
    while (newest_first) {
        Message* next = newest_first->next;
        newest_first->next = in_order;
        in_order = newest_first;
        newest_first = next;
    }
    while (in_order) {
        Message* next = in_order->next;  // run() may end the message's life
        in_order->run(*in_order);
        in_order = next;
    }
    return true;
}

void Loop::note_stall(Instant started) noexcept {
    auto away = static_cast<std::uint64_t>((now() - started).count());
    int bucket = std::min(stall_buckets - 1, static_cast<int>(std::bit_width(away >> 16)));
    // One writer: plain loads and stores are enough, and cheaper than locked adds in a turn that lasts microseconds.
    stalls[bucket].store(stalls[bucket].load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    stall_sum_ns.store(stall_sum_ns.load(std::memory_order_relaxed) + away, std::memory_order_relaxed);
    if (away > stall_max_ns.load(std::memory_order_relaxed)) stall_max_ns.store(away, std::memory_order_relaxed);
}

}  // namespace entrepot
