#include "load/latency_histogram.h"

#include "load/dice.h"

#include <doctest/doctest.h>

#include <memory>
#include <vector>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

TEST_CASE("latency histogram: without samples everything is zero") {
    auto times = std::make_unique<LatencyHistogram>();
    CHECK(times->count() == 0);
    CHECK(times->percentile(0.99) == 0ns);
    CHECK(times->shortest() == 0ns);
    CHECK(times->longest() == 0ns);
    CHECK(times->mean() == 0ns);
}

TEST_CASE("latency histogram: percentiles are never below the truth and at most 0.8 percent above it") {
    auto times = std::make_unique<LatencyHistogram>();
    std::vector<std::int64_t> samples;
    Dice dice(7);
    for (int count = 0; count < 20'000; ++count) {
        auto sample = static_cast<std::int64_t>(dice.bits() >> (24 + dice.bits() % 38));
        samples.push_back(sample);
        times->add(Duration(sample));
    }
    std::sort(samples.begin(), samples.end());
    for (double share : {0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
        auto truth = samples[static_cast<std::size_t>(share * static_cast<double>(samples.size()))];
        auto told = times->percentile(share).count();
        CAPTURE(share);
        CHECK(told >= truth);
        CHECK(static_cast<double>(told) <= static_cast<double>(truth) * 1.008 + 1);
    }
    CHECK(times->percentile(1).count() == samples.back());
    CHECK(times->shortest().count() == samples.front());
}

TEST_CASE("latency histogram: what is longer than 36 minutes counts as that long, and a negative time as none") {
    auto times = std::make_unique<LatencyHistogram>();
    times->add(std::chrono::hours(5));
    times->add(-5ms);
    CHECK(times->count() == 2);
    CHECK(times->longest() == std::chrono::hours(5));
    CHECK(times->shortest() == 0ns);
    CHECK(times->percentile(0.9) >= 36min);
    CHECK(times->percentile(0.9) <= std::chrono::hours(5));
}

TEST_CASE("latency histogram: two that are added are as one that saw all") {
    auto one = std::make_unique<LatencyHistogram>(), other = std::make_unique<LatencyHistogram>(),
         all = std::make_unique<LatencyHistogram>();
    Dice dice(3);
    for (int count = 0; count < 1000; ++count) {
        Duration time(static_cast<std::int64_t>(dice.bits() % 1'000'000'000));
        (count % 3 ? *one : *other).add(time);
        all->add(time);
    }
    one->add(*other);
    CHECK(one->count() == all->count());
    CHECK(one->mean() == all->mean());
    CHECK(one->longest() == all->longest());
    CHECK(one->shortest() == all->shortest());
    for (double share : {0.01, 0.5, 0.99}) CHECK(one->percentile(share) == all->percentile(share));
}
