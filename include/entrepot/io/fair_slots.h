#pragma once
// At most so many tasks hold a slot, and clients share them fairly: nobody takes more than what is left for the others. A client gets a slot only while it holds
// fewer than are free: alone it gets half of them, of two that want all each gets a third. However many long things one client begins, the next who comes
// finds a slot.
//
// Who waits stands in a line of his client, and the lines take turns: a thousand wishes of one client are passed by the first of another. The room in the lines is
// shared by the same rule. Several clients may want the same thing (Askers): it stands in the lines of them all, and whoever's turn comes first gets the slot for it.
//
// A client is a number: whoever hands it in knows what it stands for. On one loop; owned by whoever shares the slots out.

#include "entrepot/io/await.h"

#include <array>
#include <unordered_map>

namespace entrepot {

/// 0: nobody in particular, the program itself.
using ClientKey = std::uint64_t;

class Askers;

/// What a FairSlots tells; written on its loop, read from any thread. Several may share one.
struct FairSlotCounters {
    std::atomic<std::int64_t> held{0};
    std::atomic<std::int64_t> waiting{0};
    std::atomic<std::int64_t> waiting_clients{0};  ///< lines that somebody stands in
};

class FairSlots {
  public:
    enum class Admission : std::uint8_t { admitted, queue_full, too_late };
    struct Place {
        Admission admission = Admission::admitted;
        ClientKey client = 0;  ///< whose slot it is, for release()
    };

    FairSlots(std::size_t slots_max, std::size_t waiting_max, FairSlotCounters& counters) noexcept
        : slots_max_(slots_max), waiting_max_(waiting_max), counters_(counters) {}
    ~FairSlots() { ASSERT(waiting_ == 0); }

    /// `askers` wait for one slot together, and live at least as long as the wait. Whoever is admitted gives the slot back by release().
    Task<Place> acquire(Askers& askers, Instant deadline);
    void release(ClientKey client) noexcept;
    /// Shutdown: admits everybody who waits, whatever the bound; each finds out at its next step that there is nothing left to do.
    void admit_all() noexcept;

    std::size_t taken() const noexcept { return taken_; }
    std::size_t waiting() const noexcept { return waiting_; }
    std::size_t clients() const noexcept { return lines_.size(); }

  private:
    friend class Askers;
    struct Line;
    struct Wish;
    /// A wish in one client's line.
    struct Stand : ListLink {
        Wish* wish = nullptr;
        Line* line = nullptr;
    };
    /// What one client holds and waits for; there is none for a client that does neither.
    struct Line : ListLink {  // linked while somebody stands in it
        ClientKey client = 0;
        std::size_t held = 0, waiting = 0;
        IntrusiveList<Stand> stands;
    };

    std::size_t free() const noexcept { return slots_max_ - std::min(taken_, slots_max_); }
    bool may_take(const Line& line) const noexcept { return line.held < free(); }
    bool may_wait(const Line& line) const noexcept { return line.waiting < waiting_max_ - waiting_; }
    Line& line_of(ClientKey client);
    void drop_if_idle(Line& line) noexcept;
    void stand_in(Wish& wish, ClientKey client);
    void leave(Wish& wish) noexcept;
    void take(Line& line) noexcept;
    void admit(Line& line) noexcept;
    void serve() noexcept;

    std::size_t slots_max_, waiting_max_;
    FairSlotCounters& counters_;
    std::size_t taken_ = 0, waiting_ = 0;
    std::unordered_map<ClientKey, Line> lines_;  // no more than are held and waited for by askers of different clients
    IntrusiveList<Line> turns_;                  // lines that somebody stands in; the first has waited longest for its turn
};

/// Those who want one thing: who asked first, and who joined since. Outlives every wait for a slot that it is given to.
class Askers {
  public:
    static constexpr std::size_t clients_max = 4;  ///< what so many want needs no more advocates

    explicit Askers(ClientKey first) noexcept : clients_{first} {}
    Askers(const Askers&) = delete;
    ~Askers() { ASSERT(!wish_); }

    /// Another client wants the same: if it is being waited for, it stands in his line as well from now on.
    void join(ClientKey client);
    void join(const Askers& others);
    std::size_t count() const noexcept { return count_; }

  private:
    friend class FairSlots;
    std::array<ClientKey, clients_max> clients_;
    std::size_t count_ = 1;
    FairSlots::Wish* wish_ = nullptr;  // while they wait
};

}  // namespace entrepot
