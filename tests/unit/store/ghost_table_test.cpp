#include "store/ghost_table.h"

#include <doctest/doctest.h>

#include <random>

using namespace entrepot;

namespace {

Digest digest_of(std::uint64_t number) {
    std::mt19937_64 random(number);
    std::array<std::uint64_t, 4> words{};
    for (std::uint64_t& word : words) word = random();
    return Digest::from_raw(DigestAlgorithm::sha256, std::as_bytes(std::span(words)));
}

}  // namespace

TEST_CASE("ghost table: a name is given up once") {
    GhostTable ghosts(64, 1000);
    CHECK_FALSE(ghosts.take(digest_of(1)));
    ghosts.remember(digest_of(1), 10);
    CHECK_FALSE(ghosts.take(digest_of(2)));
    CHECK(ghosts.take(digest_of(1)));
    CHECK_FALSE(ghosts.take(digest_of(1)));
}

TEST_CASE("ghost table: a name lasts for exactly the given amount of evicted bytes") {
    GhostTable ghosts(64, 1000);
    ghosts.remember(digest_of(1), 10);
    ghosts.remember(digest_of(2), 10);
    ghosts.remember(digest_of(3), 990);
    CHECK(ghosts.take(digest_of(1)));
    ghosts.remember(digest_of(4), 11);
    CHECK_FALSE(ghosts.take(digest_of(2)));
    CHECK(ghosts.take(digest_of(3)));
}

TEST_CASE("ghost table: a name that is remembered again is young again") {
    GhostTable ghosts(64, 1000);
    ghosts.remember(digest_of(1), 10);
    ghosts.remember(digest_of(2), 900);
    ghosts.remember(digest_of(1), 10);
    ghosts.remember(digest_of(3), 900);
    CHECK(ghosts.take(digest_of(1)));
}

TEST_CASE("ghost table: a smaller memory forgets at once what is too old for it") {
    GhostTable ghosts(64, 1000);
    ghosts.remember(digest_of(1), 10);
    ghosts.remember(digest_of(2), 500);
    ghosts.set_bytes_remembered(499);
    CHECK_FALSE(ghosts.take(digest_of(1)));
    CHECK(ghosts.take(digest_of(2)));
}

TEST_CASE("ghost table: over its bound the oldest names make room") {
    GhostTable ghosts(8, UINT64_MAX);  // one bucket
    for (std::uint64_t i = 0; i < 20; ++i) ghosts.remember(digest_of(i), 1);
    for (std::uint64_t i = 0; i < 12; ++i) CHECK_FALSE(ghosts.take(digest_of(i)));
    for (std::uint64_t i = 12; i < 20; ++i) CHECK(ghosts.take(digest_of(i)));
}

TEST_CASE("ghost table: half full, it forgets hardly anything") {
    GhostTable ghosts(8192, UINT64_MAX);
    for (std::uint64_t i = 0; i < 4096; ++i) ghosts.remember(digest_of(i), 1);
    int kept = 0;
    for (std::uint64_t i = 0; i < 4096; ++i) kept += ghosts.take(digest_of(i));
    CHECK(kept >= 4000);
}

TEST_CASE("ghost table: a bound of zero still is one bucket") {
    GhostTable ghosts(0, 100);
    ghosts.remember(digest_of(1), 1);
    CHECK(ghosts.take(digest_of(1)));
}
