#include "cache/disk_pace.h"

#include <doctest/doctest.h>

namespace entrepot {
namespace {

/// A window in which each piece came after `each`, of which the disk made it wait `waited`.
void pass(DiskPace& pace, Instant& now, Duration each, Duration waited) {
    for (auto end = now + DiskPace::window; now < end;) {
        now = now + each;
        pace.note(now, waited);
    }
}

}  // namespace

TEST_CASE("disk pace: behind when more than half of a window was spent waiting, and then for good") {
    Instant now{};
    DiskPace pace(now);
    pass(pace, now, milliseconds(10), milliseconds(0));
    CHECK_FALSE(pace.behind());
    pass(pace, now, milliseconds(10), milliseconds(5));
    CHECK_FALSE(pace.behind());
    pass(pace, now, milliseconds(10), milliseconds(6));
    CHECK(pace.behind());
    pass(pace, now, milliseconds(10), milliseconds(0));
    CHECK(pace.behind());
}

TEST_CASE("disk pace: a pause of a fast disk is not a slow disk") {
    Instant now{};
    DiskPace pace(now);
    for (int pause = 0; pause < 5; ++pause) {
        now = now + milliseconds(40);
        pace.note(now, milliseconds(40));
        for (unsigned piece = 0; piece < 240; ++piece) {
            now = now + std::chrono::microseconds(250);
            pace.note(now, Duration::zero());
        }
        CHECK_FALSE(pace.behind());
    }
    now = now + milliseconds(200);
    pace.note(now, milliseconds(200));
    for (unsigned piece = 0; piece < 240; ++piece) {
        now = now + std::chrono::microseconds(250);
        pace.note(now, Duration::zero());
    }
    CHECK(pace.behind());
}

}  // namespace entrepot
