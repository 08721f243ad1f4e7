#include "entrepot/access/try_limits.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

constexpr std::uint64_t here = 1, there = 2;
const Instant start{1'000'000'000'000};

TryLimits::Options few() {
    TryLimits::Options options;
    options.account = {3, seconds(2)};
    options.source = {8, seconds(1)};
    return options;
}

}  // namespace

TEST_CASE("try limits: so many in vain, then as many as time gives back") {
    TryLimits limits(few());
    for (int i = 0; i < 3; ++i) {
        CHECK_FALSE(limits.refusal(here, "alice", start).has_value());
        limits.count_failure(here, "alice", start);
    }
    auto wait = limits.refusal(here, "alice", start);
    REQUIRE(wait.has_value());
    CHECK(*wait == seconds(2));
    CHECK(limits.refusal(here, "alice", start + milliseconds(1500)).has_value());
    CHECK_FALSE(limits.refusal(here, "alice", start + seconds(2)).has_value());
    limits.count_failure(here, "alice", start + seconds(2));
    CHECK(limits.refusal(here, "alice", start + seconds(2)).has_value());
    CHECK_FALSE(limits.refusal(here, "alice", start + seconds(60)).has_value());
}

TEST_CASE("try limits: nobody is locked out by what another address or another name does") {
    TryLimits limits(few());
    for (int i = 0; i < 5; ++i) limits.count_failure(here, "alice", start);
    CHECK(limits.refusal(here, "alice", start).has_value());
    CHECK_FALSE(limits.refusal(there, "alice", start).has_value());
    CHECK_FALSE(limits.refusal(here, "bob", start).has_value());
}

TEST_CASE("try limits: an address that tries many names is limited as a whole, and for not much longer than its allowance") {
    TryLimits limits(few());
    for (int i = 0; i < 100; ++i) limits.count_failure(here, "user" + std::to_string(i), start);
    auto wait = limits.refusal(here, "somebody new", start);
    REQUIRE(wait.has_value());
    CHECK(*wait <= seconds(9));
    CHECK_FALSE(limits.refusal(here, "somebody new", start + seconds(9)).has_value());
    CHECK_FALSE(limits.refusal(there, "somebody new", start).has_value());
}

TEST_CASE(
    "try limits: of a hundred thousand tries an address gets its allowance and what time gives back, and nobody else pays") {
    TryLimits limits{TryLimits::Options()};
    auto now = start;
    int account_tries = 0, source_tries = 0;
    for (int i = 0; i < 100'000; ++i, now = now + milliseconds(1)) {
        if (!limits.refusal(here, "alice", now)) {
            limits.count_failure(here, "alice", now);
            ++account_tries;
        }
        auto somebody = "user" + std::to_string(i);
        if (!limits.refusal(there, somebody, now)) {
            limits.count_failure(there, somebody, now);
            ++source_tries;
        }
        REQUIRE_FALSE(limits.refusal(3, "alice", now).has_value());
    }
    // 100 seconds: 20 and one in two seconds; 200 and five in one.
    CHECK(account_tries >= 69);
    CHECK(account_tries <= 70);
    CHECK(source_tries >= 699);
    CHECK(source_tries <= 700);
    // As many addresses with one try each: none is refused, the table keeps its bound, and who is refused stays so.
    limits.count_failure(here, "alice", now);
    for (std::uint64_t source = 1000; source < 101'000; ++source) {
        REQUIRE_FALSE(limits.refusal(source, "alice", now).has_value());
        limits.count_failure(source, "alice", now);
        REQUIRE(limits.entries() <= TryLimits::Options().entries_max);
    }
    CHECK(limits.refusal(here, "alice", now).has_value());
}

TEST_CASE("try limits: the table is bounded, and keeps those that failed most") {
    auto options = few();
    options.entries_max = 64;
    TryLimits limits(options);
    for (int i = 0; i < 6; ++i) limits.count_failure(here, "alice", start);
    for (std::uint64_t source = 100; source < 5100; ++source) {
        limits.count_failure(source, "alice", start);
        REQUIRE(limits.entries() <= 64);
    }
    CHECK(limits.refusal(here, "alice", start).has_value());
    CHECK_FALSE(limits.refusal(there, "alice", start).has_value());
}

TEST_CASE("try limits: a clock that stands still or steps back gives nothing away") {
    TryLimits limits(few());
    for (int i = 0; i < 3; ++i) limits.count_failure(here, "alice", start);
    CHECK(limits.refusal(here, "alice", Instant{start.ns - 1'000'000'000}).has_value());
}
