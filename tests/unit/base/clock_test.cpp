#include "entrepot/base/clock.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

TEST_CASE("clock: instants order, and their difference is a duration") {
    const Instant earlier{1'000};
    const Instant later = earlier + Duration(5ms);
    CHECK(earlier < later);
    CHECK(later - earlier == Duration(5ms));
    CHECK(later + Duration(-5ms) == earlier);
}

TEST_CASE("clock: an addition that would overflow is never") {
    CHECK(Instant{1} + Duration::max() == Instant::never());
    CHECK(Instant::never() + Duration(1ms) == Instant::never());
    CHECK(Instant{0} + Duration::max() == Instant::never());
    CHECK(Instant{0} + (Duration::max() - Duration(1)) < Instant::never());
}
