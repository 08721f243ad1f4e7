#include "entrepot/server/acceptor.h"

namespace entrepot {
namespace {

// A hand-over costs two cross-shard messages, so it wants a real difference.
constexpr std::size_t difference_min = 2;
constexpr Duration slot_wait = seconds(1);

}  // namespace

Task<void> Acceptor::run() {
    while (!stopping_) {
        // A full shard leaves connections in the kernel's queue: clients wait, nobody is refused.
        bool free = co_await connections_.slot(loop_.time() + slot_wait);
        if (!free) continue;
        int socket = co_await listener_->accept();
        if (socket < 0) {
            connections_.give_back_slot();
            break;
        }
        auto& target = idlest();
        target.connections_.count_in();
        if (&target == this) connections_.start(socket);
        else handing_over_.start(hand_over(target, socket));
    }
    co_await handing_over_.close();
    co_await listener_->close();
}

Acceptor& Acceptor::idlest() noexcept {
    Acceptor* best = this;
    for (auto* peer : peers_) {
        // Counts of a shard that does not turn stand still: it would be given every connection that comes.
        if (peer->loop_.away()) continue;
        if (peer->connections_.open() + difference_min <= best->connections_.open()) best = peer;
    }
    return *best;
}

Task<void> Acceptor::hand_over(Acceptor& other, int socket) {
    connections_.give_back_slot();
    auto take = [&] { return other.take(socket); };
    (void)co_await run_on(other.loop_, take);
}

Task<bool> Acceptor::take(int socket) {
    // Never full, since the giver has two more than we; but drained perhaps, when the server stops.
    bool free = co_await connections_.slot(loop_.time() + slot_wait);
    bool taken = free && !connections_.draining();
    if (taken) {
        connections_.start(socket);
        co_return taken;
    }
    if (free) connections_.give_back_slot();
    connections_.count_out();
    loop_.ring().close(socket);
    co_return taken;
}

void Acceptor::stop() noexcept {
    stopping_ = true;
    listener_->stop();
}

}  // namespace entrepot
