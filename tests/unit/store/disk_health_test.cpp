#include "entrepot/store/disk_health.h"

#include <doctest/doctest.h>

#include <cerrno>

namespace entrepot {
namespace {

using State = DiskHealth::State;

}  // namespace

TEST_CASE(
    "disk health: after three failures in a row a disk is left alone; a success clears the count, a lack of descriptors is none") {
    DiskHealth health("volume", "v");
    health.note_failure("writing", EIO);
    health.note_failure("writing", EIO);
    CHECK(health.healthy());
    health.note_success();
    health.note_failure("writing", EIO);
    health.note_failure("writing", EIO);
    for (int i = 0; i < 10; ++i) health.note_failure("writing", i % 2 ? ENFILE : EMFILE);
    CHECK(health.takes_writes());
    health.note_failure("writing", EIO);
    CHECK(health.state() == State::suspect);
    CHECK_FALSE(health.takes_writes());
}

TEST_CASE("disk health: no room, of whatever kind, is full; it is written to all the same, and a success ends it") {
    for (int error : {ENOSPC, EDQUOT, EFBIG}) {
        DiskHealth health("volume", "v");
        health.note_failure("writing", error);
        CHECK(health.state() == State::full);
        CHECK(health.takes_writes());
        auto trouble = health.trouble();
        REQUIRE(trouble);
        CHECK(trouble->why.starts_with("writing failed: "));
        CHECK_FALSE(trouble->advice.empty());
        health.note_success();
        CHECK(health.healthy());
        CHECK_FALSE(health.trouble());
    }
    CHECK(eviction_may_help(ENOSPC));
    CHECK(eviction_may_help(EDQUOT));
    CHECK_FALSE(eviction_may_help(EFBIG));
}

TEST_CASE("disk health: a full disk that fails becomes suspect, a suspect one that is full stays so") {
    DiskHealth health("volume", "v");
    health.note_failure("writing", ENOSPC);
    for (int i = 0; i < 3; ++i) health.note_failure("syncing", EIO);
    CHECK(health.state() == State::suspect);
    health.note_failure("writing", ENOSPC);
    CHECK(health.state() == State::suspect);
}

TEST_CASE("disk health: the first EROFS says all; other failures do not change that, a recovery does") {
    DiskHealth health("volume", "v");
    health.note_failure("writing", EROFS);
    CHECK(health.state() == State::read_only);
    for (int i = 0; i < 5; ++i) health.note_failure("removing", EIO);
    CHECK(health.state() == State::read_only);
    health.note_recovery();
    CHECK(health.healthy());
}

TEST_CASE("disk health: attempts come after pauses that double from 5 s to a minute, until something was stored") {
    DiskHealth health("volume", "v");
    auto time = now();
    CHECK_FALSE(health.probe_is_due(time + std::chrono::hours(1)));
    health.note_failure("writing", EROFS);
    CHECK_FALSE(health.probe_is_due(time + seconds(4)));
    time = now() + DiskHealth::probe_pause_min;
    for (int pause : {10, 20, 40, 60, 60}) {
        CHECK(health.probe_is_due(time));
        CHECK_FALSE(health.probe_is_due(time + (seconds(pause) - milliseconds(1))));
        time = time + seconds(pause);
    }
    health.note_recovery();
    health.note_failure("writing", EROFS);
    CHECK_FALSE(health.probe_is_due(now() + seconds(59)));
    health.note_success();
    health.note_failure("writing", EROFS);
    CHECK(health.probe_is_due(now() + seconds(5)));
}

TEST_CASE("disk health: after a recovery from failures one more is enough, until something was stored") {
    DiskHealth health("volume", "v");
    for (int i = 0; i < 3; ++i) health.note_failure("syncing", EIO);
    health.note_recovery();
    CHECK(health.takes_writes());
    health.note_failure("syncing", EIO);
    CHECK(health.state() == State::suspect);
    health.note_recovery();
    health.note_success();
    health.note_failure("syncing", EIO);
    CHECK(health.healthy());
}

TEST_CASE("disk health: what is closed stays so, is not tried, and says why") {
    DiskHealth health("ledger", "/l");
    health.close("changing it failed: Input/output error", "restart entrepot");
    health.note_success();
    health.note_recovery();
    health.note_failure("writing", EROFS);
    CHECK(health.state() == State::closed);
    CHECK_FALSE(health.probe_is_due(now() + std::chrono::hours(1)));
    CHECK(health.trouble()->why == "changing it failed: Input/output error");
    CHECK(health.trouble()->advice == "restart entrepot");
}

TEST_CASE("disk health: states have names for programs and words for people") {
    for (std::size_t i = 0; i < DiskHealth::states; ++i) {
        auto state = static_cast<State>(i);
        CHECK_FALSE(name_of(state).empty());
        CHECK_FALSE(words_for(state).empty());
        CHECK(name_of(state).find(' ') == std::string_view::npos);
    }
}

}  // namespace entrepot
