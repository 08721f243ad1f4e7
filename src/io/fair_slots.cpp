#include "entrepot/io/fair_slots.h"

#include <algorithm>

namespace entrepot {

/// Lives in the frame of acquire().
struct FairSlots::Wish {
    explicit Wish(FairSlots& where) noexcept : slots(where) {}
    FairSlots& slots;
    std::array<Stand, Askers::clients_max> stands;
    std::size_t stands_used = 0;
    Condition ended;
    bool admitted = false;
    ClientKey client = 0;  // of the line that it was admitted from
};

// ---- lines

FairSlots::Line& FairSlots::line_of(ClientKey client) {
    auto& line = lines_[client];
    line.client = client;
    return line;
}

void FairSlots::drop_if_idle(Line& line) noexcept {
    if (line.held == 0 && line.waiting == 0) lines_.erase(line.client);
}

void FairSlots::stand_in(Wish& wish, ClientKey client) {
    auto& line = line_of(client);
    auto& stand = wish.stands[wish.stands_used++];
    stand.wish = &wish;
    stand.line = &line;
    line.stands.push_back(stand);
    ++line.waiting;
    if (line.linked()) return;
    turns_.push_back(line);
    counters_.waiting_clients.fetch_add(1, std::memory_order_relaxed);
}

/// Out of every line.
void FairSlots::leave(Wish& wish) noexcept {
    for (auto& stand : wish.stands) {
        if (!stand.linked()) continue;
        auto& line = *stand.line;
        stand.unlink();
        if (--line.waiting == 0) {
            line.unlink();
            counters_.waiting_clients.fetch_sub(1, std::memory_order_relaxed);
        }
        drop_if_idle(line);
    }
    --waiting_;
    counters_.waiting.fetch_sub(1, std::memory_order_relaxed);
}

void FairSlots::take(Line& line) noexcept {
    ++line.held;
    ++taken_;
    counters_.held.fetch_add(1, std::memory_order_relaxed);
}

/// The first of this line; its next turn comes after everybody else's.
void FairSlots::admit(Line& line) noexcept {
    auto& wish = *line.stands.front()->wish;
    take(line);
    if (line.waiting > 1) {
        line.unlink();
        turns_.push_back(line);
    }
    wish.admitted = true;
    wish.client = line.client;
    leave(wish);
    wish.ended.notify_one();
}

/// Gives out what is free to those whose turn it is. Who may not take one while some are free holds at least one: such lines are fewer than slots.
void FairSlots::serve() noexcept {
    for (Line* line = turns_.front(); line && free() > 0;) {
        bool mine = may_take(*line);
        if (mine) admit(*line);
        line = mine ? turns_.front() : turns_.after(*line);
    }
}

// ---- what tasks call

Task<FairSlots::Place> FairSlots::acquire(Askers& askers, Instant deadline) {
    ASSERT(!askers.wish_);
    bool may_stand = false;
    for (std::size_t i = 0; i < askers.count_; ++i) {
        auto& line = line_of(askers.clients_[i]);
        // Nobody is overtaken: whoever waits may not take a slot now, or he would have got it.
        if (may_take(line)) {
            take(line);
            co_return Place{Admission::admitted, line.client};
        }
        may_stand |= may_wait(line);
        drop_if_idle(line);
    }
    if (!may_stand) co_return Place{Admission::queue_full, 0};
    Wish wish(*this);
    ++waiting_;
    counters_.waiting.fetch_add(1, std::memory_order_relaxed);
    for (std::size_t i = 0; i < askers.count_; ++i) stand_in(wish, askers.clients_[i]);
    askers.wish_ = &wish;
    (void)co_await wish.ended.wait(deadline);
    askers.wish_ = nullptr;
    // Its time may have passed and its turn come before it ran: then the slot is its own.
    if (!wish.admitted) leave(wish);
    co_return Place{wish.admitted ? Admission::admitted : Admission::too_late, wish.client};
}

void FairSlots::release(ClientKey client) noexcept {
    auto found = lines_.find(client);
    ASSERT(taken_ > 0 && found != lines_.end() && found->second.held > 0);
    --taken_;
    --found->second.held;
    counters_.held.fetch_sub(1, std::memory_order_relaxed);
    drop_if_idle(found->second);
    serve();
}

void FairSlots::admit_all() noexcept {
    while (Line* line = turns_.front()) admit(*line);
}

void Askers::join(ClientKey client) {
    auto end = clients_.begin() + static_cast<std::ptrdiff_t>(count_);
    if (count_ == clients_max || std::find(clients_.begin(), end, client) != end) return;
    clients_[count_++] = client;
    // Admitted already, it only has not run yet: nothing is waited for any more.
    if (!wish_ || wish_->admitted) return;
    wish_->slots.stand_in(*wish_, client);
    wish_->slots.serve();
}

void Askers::join(const Askers& others) {
    for (std::size_t i = 0; i < others.count_; ++i) join(others.clients_[i]);
}

}  // namespace entrepot
