#include "load/tally.h"

#include <doctest/doctest.h>

#include <memory>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

namespace {

constexpr Instant start{1'000'000'000'000};

Answered answer(Kind kind, Duration due, Duration first, Duration end, std::uint16_t status = 200, std::uint64_t bytes = 10) {
    return {kind, status, bytes, start + due, start + first, start + end};
}

}  // namespace

TEST_CASE("tally: times count from the moment a request was due") {
    auto tally = std::make_unique<Tally>();
    tally->count_from(start);
    tally->answered(answer(Kind::blob, 1s, 1500ms, 3s));
    CHECK(tally->completed() == 1);
    CHECK(tally->of(Kind::blob).first_byte.longest() == 500ms);
    CHECK(tally->of(Kind::blob).whole.longest() == 2s);
    CHECK(tally->last_ended() == 3s);
    CHECK(tally->with_status(200) == 1);
}

TEST_CASE("tally: the warm-up is forgotten, but not its failures") {
    auto tally = std::make_unique<Tally>();
    tally->count_from(start);
    tally->answered(answer(Kind::url, -2s, -2s, -1s));
    tally->add_bytes(100, start + -1s);
    tally->pulled(start + -2s, start + -1s);
    tally->failed(Trouble::reset, 0, start + -1s);
    CHECK(tally->completed() == 0);
    CHECK(tally->bytes() == 0);
    CHECK(tally->pulls() == 0);
    CHECK(tally->errors() == 1);
    CHECK(tally->errors_of(Trouble::reset) == 1);
    CHECK(tally->series().size() == 0);
}

TEST_CASE("tally: logins are told apart from what was wanted") {
    auto tally = std::make_unique<Tally>();
    tally->count_from(start);
    tally->answered(answer(Kind::login, 0s, 1ms, 1ms));
    tally->answered(answer(Kind::manifest_get, 0s, 1ms, 2ms));
    CHECK(tally->completed() == 1);
    CHECK(tally->all().completed == 1);
    CHECK(tally->of(Kind::login).completed == 1);
}

TEST_CASE("tally: two add up") {
    auto one = std::make_unique<Tally>(), other = std::make_unique<Tally>();
    for (auto* tally : {one.get(), other.get()}) {
        tally->count_from(start);
        tally->answered(answer(Kind::url, 0s, 1ms, 2ms, 206));
        tally->failed(Trouble::status, 503, start + 1s);
        tally->failed(Trouble::not_finished, 0, start + 1s, 9);
        tally->add_bytes(50, start);
        tally->connections = 3;
        tally->verified = 2;
        tally->pull_failed();
    }
    one->add(*other);
    CHECK(one->completed() == 2);
    CHECK(one->errors() == 20);
    CHECK(one->errors_of(Trouble::not_finished) == 18);
    CHECK(one->with_status(503) == 2);
    CHECK(one->with_status(206) == 2);
    CHECK(one->bytes() == 100);
    CHECK(one->connections == 6);
    CHECK(one->verified == 4);
    CHECK(one->pulls_failed() == 2);
}

TEST_CASE("tally: every kind and trouble has a name of its own") {
    for (std::size_t one = 0; one < troubles; ++one)
        for (std::size_t other = 0; other < one; ++other)
            CHECK(name_of(static_cast<Trouble>(one)) != name_of(static_cast<Trouble>(other)));
    for (std::size_t one = 0; one < kinds; ++one) CHECK(!name_of(static_cast<Kind>(one)).empty());
}
