#include "entrepot/io/fair_slots.h"

#include "support/run_task.h"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

/// Somebody who wants a slot, and what came of it.
struct Comer {
    Comer(FairSlots& where, ClientKey asker) : slots(where), askers(asker), wanted_by{asker} {}

    Task<void> come(Duration patience) {
        auto deadline = Loop::current().time() + patience;
        auto place = co_await slots.acquire(askers, deadline);
        admission = place.admission;
        client = place.client;
    }
    bool admitted() const { return admission == FairSlots::Admission::admitted; }
    bool waits() const { return !admission; }
    void joined_by(ClientKey another) {
        if (askers.count() < Askers::clients_max) wanted_by.push_back(another);
        askers.join(another);
    }

    FairSlots& slots;
    Askers askers;
    std::vector<ClientKey> wanted_by;
    std::optional<FairSlots::Admission> admission;
    ClientKey client = 0;
};

/// A box of slots and those who came, in their order.
struct Crowd {
    Crowd(std::size_t slots_max, std::size_t waiting_max) : slots(slots_max, waiting_max, counters) {}

    Comer& come(ClientKey client, Duration patience = 10s) {
        comers.emplace_back(slots, client);
        group.start(comers.back().come(patience));
        return comers.back();
    }
    void come(ClientKey client, int times) {
        for (int i = 0; i < times; ++i) come(client);
    }
    std::size_t admitted(ClientKey client) const {
        return static_cast<std::size_t>(
            std::count_if(comers.begin(), comers.end(), [&](auto& one) { return one.admitted() && one.client == client; }));
    }
    /// A slot of this client comes back, and whoever got it goes on.
    void release(ClientKey client) {
        slots.release(client);
        settle();
    }
    void settle() {
        loop.run_until([&] {
            auto still = std::count_if(comers.begin(), comers.end(), [](auto& one) { return one.waits(); });
            return static_cast<std::size_t>(still) == slots.waiting();
        });
    }

    TestLoop loop;
    FairSlotCounters counters;
    FairSlots slots;
    std::deque<Comer> comers;
    TaskGroup group;
};

}  // namespace

TEST_CASE("fair slots: one client alone gets half of them, and the next who comes finds a slot") {
    Crowd crowd(64, 4096);
    crowd.come(1, 1000);
    CHECK(crowd.admitted(1) == 32);
    CHECK(crowd.slots.waiting() == 968);
    CHECK(crowd.counters.waiting_clients == 1);
    for (ClientKey other = 2; other < 7; ++other) CHECK(crowd.come(other).admitted());
    crowd.come(2, 1000);
    CHECK(crowd.admitted(2) == 14);
    crowd.slots.admit_all();
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: when slots come back, everybody who wants all of them ends up with as many as the others") {
    Crowd crowd(40, 4096);
    for (ClientKey client = 1; client <= 3; ++client) crowd.come(client, 500);
    CHECK(crowd.admitted(1) == 20);
    CHECK(crowd.admitted(2) == 10);
    CHECK(crowd.admitted(3) == 5);
    std::vector<std::size_t> given_back{0, 0, 0, 0};
    for (int i = 0; i < 200; ++i) {
        ClientKey client = 1 + static_cast<ClientKey>(i % 3);
        ++given_back[client];
        crowd.release(client);
    }
    for (ClientKey client = 1; client <= 3; ++client) {
        auto held = crowd.admitted(client) - given_back[client];
        CHECK(held >= 9);
        CHECK(held <= 11);
    }
    crowd.slots.admit_all();
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: the lines of clients take turns, and each is served in the order of its coming") {
    Crowd crowd(2, 100);
    auto& first = crowd.come(1);
    auto& second = crowd.come(2);
    crowd.come(7, 3);
    crowd.come(8, 2);
    crowd.come(9, 1);
    REQUIRE((first.admitted() && second.admitted()));
    std::vector<std::size_t> order;
    ClientKey holder = 1;
    for (int i = 0; i < 6; ++i) {
        crowd.release(holder);
        for (std::size_t who = 2; who < crowd.comers.size(); ++who) {
            bool is_new = crowd.comers[who].admitted() && std::find(order.begin(), order.end(), who) == order.end();
            if (!is_new) continue;
            order.push_back(who);
            holder = crowd.comers[who].client;
        }
    }
    CHECK(order == std::vector<std::size_t>{2, 5, 7, 3, 6, 4});
    crowd.release(holder);
    crowd.release(2);
    CHECK(crowd.slots.taken() == 0);
    CHECK(crowd.slots.clients() == 0);
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: the room to wait is shared too, and who finds none is told at once") {
    Crowd crowd(1, 8);
    crowd.come(1, 10);
    CHECK(crowd.slots.waiting() == 4);
    CHECK(crowd.comers.back().admission == FairSlots::Admission::queue_full);
    crowd.come(2, 10);
    CHECK(crowd.slots.waiting() == 6);
    CHECK(crowd.come(3).waits());
    CHECK(crowd.come(4).waits());
    CHECK(crowd.slots.waiting() == 8);
    CHECK(crowd.come(5).admission == FairSlots::Admission::queue_full);
    crowd.slots.admit_all();
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: who waits too long leaves, and nothing of him stays") {
    Crowd crowd(1, 10);
    crowd.come(1);
    auto& hasty = crowd.come(2, 20ms);
    auto& patient = crowd.come(3);
    crowd.loop.run_until([&] { return !hasty.waits(); });
    CHECK(hasty.admission == FairSlots::Admission::too_late);
    CHECK(crowd.slots.clients() == 2);
    crowd.release(1);
    CHECK(patient.admitted());
    crowd.release(3);
    CHECK(crowd.slots.clients() == 0);
    CHECK(crowd.counters.held == 0);
    CHECK(crowd.counters.waiting == 0);
    CHECK(crowd.counters.waiting_clients == 0);
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: what another client joins is served at once when he may have a slot") {
    Crowd crowd(4, 100);
    crowd.come(1, 2);
    auto& wanted = crowd.come(1);
    auto& behind = crowd.come(1);
    REQUIRE(wanted.waits());
    behind.askers.join(2);
    crowd.settle();
    CHECK(behind.admitted());
    CHECK(behind.client == 2);
    CHECK(wanted.waits());
    behind.askers.join(3);  // no longer waiting: nothing happens
    CHECK(crowd.slots.clients() == 2);
    crowd.slots.admit_all();
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: what several clients wait for stands in each of their lines, and leaves them all at once") {
    Crowd crowd(2, 100);
    crowd.come(1);
    crowd.come(2);
    crowd.come(3, 3);
    auto& shared = crowd.come(3);
    shared.askers.join(4);
    shared.askers.join(4);
    shared.askers.join(5);
    shared.askers.join(6);
    shared.askers.join(7);  // one more than are remembered
    CHECK(shared.askers.count() == Askers::clients_max);
    CHECK(crowd.slots.waiting() == 4);
    CHECK(crowd.counters.waiting_clients == 4);
    crowd.release(1);  // the turn of 3, whose line is older
    CHECK(shared.waits());
    crowd.release(3);  // then of 4
    CHECK(shared.admitted());
    CHECK(shared.client == 4);
    CHECK(crowd.counters.waiting_clients == 1);
    crowd.slots.admit_all();
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: a wish of several clients is admitted as the first of them that may have a slot") {
    Crowd crowd(4, 100);
    crowd.come(1, 2);
    Askers both(1);
    both.join(2);
    auto place = crowd.loop.run(crowd.slots.acquire(both, Instant::never()));
    CHECK(place.client == 2);
    for (ClientKey client : {1, 1, 2}) crowd.slots.release(client);
    CHECK(crowd.slots.clients() == 0);
    crowd.loop.finish(crowd.group);
}

TEST_CASE("fair slots: a shutdown lets everybody in, and the count comes out even") {
    Crowd crowd(1, 100);
    for (ClientKey client = 0; client < 6; ++client) crowd.come(client);
    crowd.slots.admit_all();
    crowd.settle();
    CHECK(crowd.slots.taken() == 6);
    for (ClientKey client = 0; client < 6; ++client) crowd.slots.release(client);
    CHECK(crowd.slots.taken() == 0);
    CHECK(crowd.slots.waiting() == 0);
    CHECK(crowd.slots.clients() == 0);
    crowd.loop.finish(crowd.group);
}

TEST_CASE(
    "fair slots: whatever happens in whatever order, nobody waits who may have a slot, and nobody has more than there are") {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        std::size_t slots_max = 1 + random() % 12;
        Crowd crowd(slots_max, 1 + random() % 40);
        for (int step = 0; step < 400; ++step) {
            ClientKey client = random() % 9;
            std::vector<Comer*> waiting, holding;
            for (auto& one : crowd.comers) {
                if (one.waits()) waiting.push_back(&one);
                else if (one.admitted()) holding.push_back(&one);
            }
            switch (random() % 4) {
                case 0:
                    if (holding.empty()) break;
                    {
                        auto& leaving = *holding[random() % holding.size()];
                        leaving.admission = FairSlots::Admission::too_late;  // it has been
                        crowd.release(leaving.client);
                    }
                    break;
                case 1:
                    if (!waiting.empty()) waiting[random() % waiting.size()]->joined_by(client);
                    crowd.settle();
                    break;
                default: crowd.come(client); break;
            }
            REQUIRE(crowd.slots.taken() <= slots_max);
            auto free = slots_max - crowd.slots.taken();
            for (auto& one : crowd.comers) {
                auto may_take = [&](ClientKey asker) { return crowd.admitted(asker) < free; };
                bool is_passed_over = one.waits() && std::any_of(one.wanted_by.begin(), one.wanted_by.end(), may_take);
                REQUIRE_FALSE(is_passed_over);
            }
            CHECK(crowd.come(100 + static_cast<ClientKey>(step), 0ns).admitted() == (free > 0));
            if (free > 0) {
                crowd.comers.back().admission = FairSlots::Admission::too_late;
                crowd.release(crowd.comers.back().client);
            }
            crowd.settle();
        }
        crowd.slots.admit_all();
        crowd.settle();
        for (auto& one : crowd.comers) {
            if (one.admitted()) crowd.slots.release(one.client);
        }
        CHECK(crowd.slots.taken() == 0);
        CHECK(crowd.slots.clients() == 0);
        crowd.loop.finish(crowd.group);
    }
}
