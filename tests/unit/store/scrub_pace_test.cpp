#include "store/scrub_pace.h"

#include "entrepot/base/bytes.h"

#include <doctest/doctest.h>

namespace entrepot {

TEST_CASE("scrub pace: a pass over what is stored takes the period") {
    Instant time{};
    constexpr Duration period = std::chrono::hours(24);
    constexpr std::uint64_t stored = 10 * GiB, burst = 4 * MiB;
    ScrubPace pace(period, burst, time);
    for (std::uint64_t read = 0; read < stored; read += burst) {
        time = time + pace.wait(stored, time);
        CHECK(pace.wait(stored, time) == Duration{0});
        pace.spend(burst);
    }
    auto took = time - Instant{};
    CHECK(took > period * 99 / 100);
    CHECK(took < period * 101 / 100);
}

TEST_CASE("scrub pace: nothing is due at once, and nobody waits longer than the period, however small the store is") {
    Instant time{};
    ScrubPace pace(seconds(100), 4 * MiB, time);
    CHECK(pace.wait(0, time) == seconds(100));
    CHECK(pace.wait(1000, time) <= seconds(100));
    time = time + seconds(100);
    CHECK(pace.wait(1000, time) == Duration{0});
    pace.spend(1);
    CHECK(pace.wait(0, time) == seconds(100));
}

TEST_CASE("scrub pace: a store that grows is read faster, one that shrank owes no more than a pass") {
    Instant time{};
    ScrubPace pace(seconds(100), 1 * MiB, time);
    CHECK(pace.wait(2 * MiB, time) == seconds(50));
    CHECK(pace.wait(100 * MiB, time) == seconds(1));
    CHECK(pace.wait(1 * MiB, time) == seconds(100));
    CHECK(pace.wait(1 * KiB, time) == seconds(100));
}

TEST_CASE("scrub pace: time that passed unused is not saved up") {
    Instant time{};
    ScrubPace pace(seconds(100), 1 * MiB, time);
    time = time + std::chrono::hours(1000);
    CHECK(pace.wait(100 * MiB, time) == Duration{0});
    pace.spend(5 * MiB);
    CHECK(pace.wait(100 * MiB, time) == seconds(5));
}

}  // namespace entrepot
