#include "upstream/slots.h"

#include "support/run_task.h"

#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

struct Comer {
    int name;
    std::vector<int>& admitted;
    std::vector<int>& others;
    Slots& slots;

    Task<void> come(Duration patience) {
        auto deadline = Loop::current().time() + patience;
        auto admission = co_await slots.acquire(deadline);
        (admission == Slots::Admission::admitted ? admitted : others).push_back(name);
    }
};

}  // namespace

TEST_CASE("slots: those beyond the bound wait in their order, and those beyond the queue are told at once") {
    TestLoop loop;
    Slots slots(2, 2);
    std::vector<int> admitted, others;
    std::vector<Comer> comers;
    for (int i = 0; i < 5; ++i) comers.push_back({i, admitted, others, slots});
    TaskGroup group;
    for (auto& comer : comers) group.start(comer.come(10s));
    CHECK(admitted == std::vector{0, 1});
    CHECK(others == std::vector{4});
    CHECK(slots.waiting() == 2);
    slots.release();
    loop.run_until([&] { return admitted.size() == 3; });
    slots.release();
    loop.finish(group);
    CHECK(admitted == std::vector{0, 1, 2, 3});
    slots.release();
    slots.release();
    CHECK(slots.taken() == 0);
}

TEST_CASE("slots: who waits too long leaves, and its place goes to the next") {
    TestLoop loop;
    Slots slots(1, 10);
    std::vector<int> admitted, others;
    Comer first{0, admitted, others, slots}, hasty{1, admitted, others, slots}, patient{2, admitted, others, slots};
    TaskGroup group;
    group.start(first.come(10s));
    group.start(hasty.come(20ms));
    group.start(patient.come(10s));
    loop.run_until([&] { return others.size() == 1; });
    slots.release();
    loop.finish(group);
    CHECK(admitted == std::vector{0, 2});
    CHECK(others == std::vector{1});
    slots.release();
    CHECK(slots.taken() == 0);
}

TEST_CASE("slots: a shutdown lets everybody in, and the count comes out even") {
    TestLoop loop;
    Slots slots(1, 10);
    std::vector<int> admitted, others;
    std::vector<Comer> comers;
    for (int i = 0; i < 6; ++i) comers.push_back({i, admitted, others, slots});
    TaskGroup group;
    for (auto& comer : comers) group.start(comer.come(10s));
    slots.admit_all();
    loop.finish(group);
    CHECK(admitted.size() == 6);
    CHECK(slots.taken() == 6);
    for (int i = 0; i < 6; ++i) slots.release();
    CHECK(slots.taken() == 0);
    CHECK(slots.waiting() == 0);
}
