#include "cache/disk_pace.h"

#include <doctest/doctest.h>

namespace entrepot {
namespace {

/// A window in which each piece came after `each`, of which the disk made it wait `waited`.
void pass(DiskPace& pace, Instant& now, Duration each, Duration waited) {
    for (unsigned piece = 0; piece < DiskPace::window_pieces; ++piece) {
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

TEST_CASE("disk pace: one long wait among short ones is not a slow disk until it is half of the time") {
    Instant now{};
    DiskPace pace(now);
    now = now + milliseconds(50);
    pace.note(now, milliseconds(50));
    for (unsigned piece = 1; piece < DiskPace::window_pieces; ++piece) {
        now = now + milliseconds(4);
        pace.note(now, Duration::zero());
    }
    CHECK_FALSE(pace.behind());
    now = now + milliseconds(70);
    pace.note(now, milliseconds(70));
    for (unsigned piece = 1; piece < DiskPace::window_pieces; ++piece) {
        now = now + milliseconds(4);
        pace.note(now, Duration::zero());
    }
    CHECK(pace.behind());
}

}  // namespace entrepot
