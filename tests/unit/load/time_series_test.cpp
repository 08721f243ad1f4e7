#include "load/time_series.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

namespace {

Instant at(Duration time) { return Instant{1'000'000'000'000} + time; }

std::uint64_t requests_of(const TimeSeries& series) {
    std::uint64_t sum = 0;
    for (const auto& slot : series) sum += slot.requests;
    return sum;
}

}  // namespace

TEST_CASE("time series: a tenth of a second is a slot, and the last one used is the end") {
    TimeSeries series;
    series.start_at(at(0s));
    CHECK(series.size() == 0);
    ++series.at(at(50ms)).requests;
    ++series.at(at(250ms)).requests;
    series.at(at(250ms)).bytes += 7;
    CHECK(series.size() == 3);
    CHECK(series.begin()[0].requests == 1);
    CHECK(series.begin()[1].requests == 0);
    CHECK(series.begin()[2].requests == 1);
    CHECK(series.begin()[2].bytes == 7);
    ++series.at(at(-1s)).requests;
    CHECK(series.begin()[0].requests == 2);
}

TEST_CASE("time series: past its last slot the intervals double and nothing is lost") {
    TimeSeries series;
    series.start_at(at(0s));
    for (int tenth = 0; tenth < 512; ++tenth) ++series.at(at(tenth * 100ms)).requests;
    CHECK(series.interval() == 100ms);
    ++series.at(at(51'200ms)).requests;
    CHECK(series.interval() == 200ms);
    CHECK(series.size() == 257);
    CHECK(series.begin()[0].requests == 2);
    CHECK(requests_of(series) == 513);
    ++series.at(at(24h)).requests;
    CHECK(series.size() <= TimeSeries::slots_max);
    CHECK(requests_of(series) == 514);
    CHECK(series.interval() * TimeSeries::slots_max >= 24h);
}

TEST_CASE("time series: two of different intervals add up, either way") {
    for (bool long_first : {false, true}) {
        TimeSeries one, other;
        one.start_at(at(0s));
        other.start_at(at(0s));
        (long_first ? one : other).at(at(400s)).requests += 5;
        (long_first ? other : one).at(at(30s)).requests += 2;
        one.add(other);
        CHECK(requests_of(one) == 7);
        CHECK(one.interval() == 800ms);
        CHECK(one.begin()[500].requests == 5);
        CHECK(one.begin()[37].requests == 2);
    }
}
