#include "load/schedule.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

TEST_CASE("schedule: a steady rate is due at equal distances, whatever happens") {
    auto schedule = Schedule::steady(2000, 3s);
    CHECK(schedule.size() == 6000);
    CHECK(schedule.due(0) == 0ns);
    CHECK(schedule.due(1) == 500us);
    CHECK(schedule.due(5999) == 2999500us);
    CHECK(schedule.logged(0) == nullptr);
}

TEST_CASE("schedule: a rate that no nanosecond divides does not drift") {
    auto schedule = Schedule::steady(3, 24h);
    CHECK(schedule.size() == 3 * 24 * 3600);
    auto last = schedule.due(schedule.size() - 1);
    CHECK(last > 24h - 334ms);
    CHECK(last < 24h - 333ms);
}

TEST_CASE("schedule: less than one in the time is one") { CHECK(Schedule::steady(0.1, 1s).size() == 1); }

TEST_CASE("schedule: a storm is spread over its time, or comes at once") {
    auto storm = Schedule::storm(500, 10s);
    CHECK(storm.size() == 500);
    CHECK(storm.due(0) == 0ns);
    CHECK(storm.due(499) == 9980ms);
    auto at_once = Schedule::storm(100, 0s);
    CHECK(at_once.due(99) == 0ns);
    CHECK(at_once.length() == 0ns);
}

TEST_CASE("schedule: a replay keeps the log's moments, at its speed, up to its bound") {
    auto log = std::make_shared<AccessLog>();
    log->paths = {"/a"};
    for (auto at : {0s, 1s, 4s, 4s, 10s}) log->requests.push_back({.at = at});
    auto as_it_was = Schedule::replay(log, 1, 1h);
    CHECK(as_it_was.size() == 5);
    CHECK(as_it_was.due(4) == 10s);
    CHECK(as_it_was.logged(2) == &log->requests[2]);
    auto faster = Schedule::replay(log, 4, 1h);
    CHECK(faster.due(2) == 1s);
    CHECK(faster.length() == 2500ms);
    CHECK(Schedule::replay(log, 1, 4s).size() == 4);
    CHECK(Schedule::replay(log, 2, 1999ms).size() == 2);
}
