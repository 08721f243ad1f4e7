#include "load/popularity.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace entrepot::load;

namespace {

std::vector<double> shares(const Popularity& popularity, std::size_t targets, int draws) {
    Dice dice(11);
    std::vector<double> found(targets);
    for (int draw = 0; draw < draws; ++draw) {
        auto target = popularity.draw(dice);
        REQUIRE(target < targets);
        found[target] += 1.0 / draws;
    }
    return found;
}

}  // namespace

TEST_CASE("popularity: by Zipf's law the k-th target is drawn in proportion to 1/k^S") {
    constexpr std::size_t targets = 50;
    for (double exponent : {0.0, 0.9, 1.5}) {
        Popularity popularity(std::vector<double>(targets, 1), exponent);
        auto found = shares(popularity, targets, 400'000);
        double sum = 0;
        for (std::size_t rank = 1; rank <= targets; ++rank) sum += 1 / std::pow(rank, exponent);
        for (std::size_t rank = 1; rank <= targets; ++rank) {
            CAPTURE(exponent);
            CAPTURE(rank);
            CHECK(std::abs(found[rank - 1] - 1 / std::pow(rank, exponent) / sum) < 0.004);
        }
    }
}

TEST_CASE("popularity: weights count, and multiply with the rank's") {
    Popularity weighted({1, 2, 7}, 0);
    auto found = shares(weighted, 3, 100'000);
    CHECK(std::abs(found[0] - 0.1) < 0.01);
    CHECK(std::abs(found[1] - 0.2) < 0.01);
    CHECK(std::abs(found[2] - 0.7) < 0.01);
    Popularity both({1, 2}, 1);
    CHECK(std::abs(shares(both, 2, 100'000)[0] - 0.5) < 0.01);
}

TEST_CASE("popularity: one target is always drawn, and a seed draws the same again") {
    Popularity one({5}, 2);
    Dice dice(1);
    for (int draw = 0; draw < 100; ++draw) CHECK(one.draw(dice) == 0);
    Popularity many(std::vector<double>(1000, 1), 0.9);
    Dice first(42), second(42), other(43);
    int same = 0;
    for (int draw = 0; draw < 200; ++draw) {
        auto drawn = many.draw(first);
        CHECK(drawn == many.draw(second));
        same += drawn == many.draw(other);
    }
    CHECK(same < 100);
}
