#include "entrepot/io/timers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace entrepot {
namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr Instant start{1'234'567'890'123};

struct Noted : Timer {
    Noted() : Timer([](Timer& timer) { ++static_cast<Noted&>(timer).fired; }) {}
    int fired = 0;
};

struct Rearming : Timer {
    Rearming(Timers& owner, Duration length) : Timer(&Rearming::on_due), timers(owner), every(length) {}
    static void on_due(Timer& timer) {
        auto& self = static_cast<Rearming&>(timer);
        ++self.fired;
        self.at = self.at + self.every;
        self.timers.arm(self, self.at);
    }
    Timers& timers;
    Duration every;
    Instant at = start;
    int fired = 0;
};

struct Disarming : Timer {
    Disarming(Timers& owner, Timer& other) : Timer(&Disarming::on_due), timers(owner), victim(other) {}
    static void on_due(Timer& timer) {
        auto& self = static_cast<Disarming&>(timer);
        self.timers.disarm(self.victim);
    }
    Timers& timers;
    Timer& victim;
};

}  // namespace

TEST_CASE("timers: each distance fires within two ticks after its instant, never before") {
    const std::int64_t distances[] = {0,
                                      1,
                                      ms - 1,
                                      ms,
                                      ms + 1,
                                      5 * ms,
                                      63 * ms,
                                      64 * ms,
                                      65 * ms,
                                      127 * ms,
                                      4095 * ms,
                                      4096 * ms,
                                      4097 * ms,
                                      262'143 * ms,
                                      262'144 * ms,
                                      16'777'216 * ms,
                                      86'400'000 * ms,
                                      (1ll << 30) * ms - 1,
                                      (1ll << 30) * ms,
                                      (1ll << 30) * ms + 1,
                                      100 * 86'400'000ll * ms,
                                      3650 * 86'400'000ll * ms};
    for (auto distance : distances) {
        CAPTURE(distance);
        Timers timers(start);
        Noted timer;
        auto when = start + Duration(distance);
        timers.arm(timer, when);
        CHECK(timers.armed() == 1);
        CHECK(timers.next_due() <= Instant{when.ns + ms});
        if (distance > 0) {
            timers.fire_due(Instant{when.ns - 1});
            CHECK(timer.fired == 0);
        }
        timers.fire_due(Instant{when.ns + 2 * ms});
        CHECK(timer.fired == 1);
        CHECK(timers.armed() == 0);
        CHECK(timers.next_due() == Instant::never());
    }
}

TEST_CASE("timers: walking from next_due to next_due reaches a far timer in few steps") {
    Timers timers(start);
    Noted timer;
    auto when = start + Duration(3650 * 86'400'000ll * ms);
    timers.arm(timer, when);
    int steps = 0;
    for (auto time = start; timer.fired == 0 && steps < 100'000; ++steps) {
        auto next = timers.next_due();
        REQUIRE(next > time);
        time = next;
        timers.fire_due(time);
        if (time < when) REQUIRE(timer.fired == 0);
    }
    CHECK(timer.fired == 1);
    CHECK(steps < 1000);
}

TEST_CASE("timers: an instant in the past fires at the next call, also after a long sleep without timers") {
    Timers timers(start);
    auto later = start + std::chrono::hours(24 * 365);  // a walk of every tick in between would take minutes
    Noted timer;
    timers.arm(timer, Instant{start.ns - 5 * ms});
    CHECK(timers.next_due() <= start);
    timers.fire_due(later);
    CHECK(timer.fired == 1);
    timers.arm(timer, start);
    CHECK(timers.next_due() <= later);
    timers.fire_due(later);
    CHECK(timer.fired == 2);
}

TEST_CASE("timers: never is as far away as can be") {
    Timers timers(start);
    Noted timer;
    timers.arm(timer, Instant::never());
    timers.fire_due(start + std::chrono::hours(24 * 3650));
    CHECK(timer.fired == 0);
    timers.disarm(timer);
    CHECK(timers.next_due() == Instant::never());
}

TEST_CASE("timers: arming again moves, disarming forgets, both may be repeated") {
    Timers timers(start);
    Noted timer;
    timers.arm(timer, start + milliseconds(10));
    timers.arm(timer, start + milliseconds(500));
    CHECK(timers.armed() == 1);
    timers.fire_due(start + milliseconds(100));
    CHECK(timer.fired == 0);
    timers.arm(timer, start + milliseconds(120));
    timers.fire_due(start + milliseconds(121));
    CHECK(timer.fired == 1);
    timers.arm(timer, start + milliseconds(130));
    timers.disarm(timer);
    timers.disarm(timer);
    CHECK(timers.armed() == 0);
    timers.fire_due(start + milliseconds(1000));
    CHECK(timer.fired == 1);
}

TEST_CASE("timers: a callback may arm its own timer again; what it arms for the past waits for the next call") {
    Timers timers(start);
    Rearming timer(timers, milliseconds(7));
    timers.arm(timer, start);
    for (int i = 0; i < 100; ++i) timers.fire_due(start + milliseconds(7 * i + 1));
    CHECK(timer.fired == 100);
    timers.disarm(timer);

    Rearming backwards(timers, -milliseconds(1));
    timers.arm(backwards, start);
    auto time = start + seconds(10);
    timers.fire_due(time);
    CHECK(backwards.fired == 1);
    timers.fire_due(time);
    CHECK(backwards.fired == 2);
    timers.disarm(backwards);
}

TEST_CASE("timers: a callback may disarm another timer that is due at the same moment") {
    Timers timers(start);
    Noted victim;
    Disarming first(timers, victim);
    timers.arm(first, start + milliseconds(5));
    timers.arm(victim, start + milliseconds(5));
    timers.fire_due(start + milliseconds(10));
    CHECK(victim.fired == 0);
    CHECK_FALSE(victim.armed());
    CHECK(timers.armed() == 0);
}

TEST_CASE("timers: thousands of random timers agree with a sorted list") {
    std::mt19937_64 random(20260101);
    Timers timers(start);
    constexpr int count = 3000;
    struct Modelled : Timer {
        Modelled() : Timer([](Timer& timer) { static_cast<Modelled&>(timer).fired = true; }) {}
        bool fired = false;
    };
    std::vector<std::unique_ptr<Modelled>> all;
    for (int i = 0; i < count; ++i) all.push_back(std::make_unique<Modelled>());
    std::map<int, Instant> model;
    auto time = start;
    auto draw_distance = [&]() -> std::int64_t {
        // Of every magnitude: from a fraction of a tick to weeks.
        auto bits = static_cast<int>(random() % 52);
        return static_cast<std::int64_t>(random() % (1ull << bits));
    };
    for (int step = 0; step < 20'000; ++step) {
        auto index = static_cast<int>(random() % count);
        switch (random() % 4) {
            case 0:
            case 1: {
                auto when = time + Duration(draw_distance());
                timers.arm(*all[static_cast<std::size_t>(index)], when);
                model[index] = when;
                break;
            }
            case 2:
                timers.disarm(*all[static_cast<std::size_t>(index)]);
                model.erase(index);
                break;
            default: {
                auto next = timers.next_due();
                bool in_time =
                    std::all_of(model.begin(), model.end(), [&](auto& entry) { return next.ns <= entry.second.ns + ms; });
                REQUIRE(in_time);
                time = random() % 2 && next != Instant::never() ? std::max(time, next) : time + Duration(draw_distance() >> 8);
                timers.fire_due(time);
                for (auto entry = model.begin(); entry != model.end();) {
                    auto& timer = *all[static_cast<std::size_t>(entry->first)];
                    if (timer.fired) {
                        REQUIRE(entry->second <= time);
                        timer.fired = false;
                        entry = model.erase(entry);
                        continue;
                    }
                    in_time &= entry->second.ns > time.ns - ms;
                    ++entry;
                }
                REQUIRE(in_time);
            }
        }
        REQUIRE(timers.armed() == model.size());
    }
    for (auto& timer : all) timers.disarm(*timer);
}

}  // namespace entrepot
