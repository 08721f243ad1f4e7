#include "entrepot/base/units.h"

#include "entrepot/base/bytes.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

TEST_CASE("units: sizes are read as people write them, decimal and binary") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("512") == 512);
    CHECK(parse_size("64KiB") == 64 * KiB);
    CHECK(parse_size("10MB") == 10'000'000);
    CHECK(parse_size("1.5GiB") == GiB + 512 * MiB);
    CHECK(parse_size("2TB") == 2'000'000'000'000);
    CHECK(parse_size("3PiB") == 3 * 1024 * 1024 * GiB);
    CHECK(parse_size("0.000000001GB") == 1);
    CHECK(parse_size("18446744073709551615") == UINT64_MAX);
}

TEST_CASE("units: a fraction of a byte is dropped") {
    CHECK(parse_size("0.1KiB") == 102);
    CHECK(parse_size("0.0001KB") == 0);
}

TEST_CASE("units: anything that is not exactly a size is refused") {
    for (const char* text : {"",      " 1",  "1 ",      "64 KiB",          "-1",   "+1",   "KiB", ".5GiB", "1.",
                             "1.GiB", "1.5", "1.-5GiB", "1.0000000001GiB", "10kb", "10kB", "10K", "10B",   "10MiBx",
                             "0x10",  "1e3", "1,5GiB",  "1.5.5GiB",        "80%"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_size(text).has_value());
    }
}

TEST_CASE("units: a size beyond 64 bits is refused, not wrapped") {
    CHECK_FALSE(parse_size("18446744073709551616").has_value());
    CHECK_FALSE(parse_size("16384PiB").has_value());
    CHECK(parse_size("16383.999999999PiB").has_value());
    CHECK_FALSE(parse_size("99999999999999999999GiB").has_value());
}

TEST_CASE("units: durations need a unit") {
    CHECK(parse_duration("250ms") == Duration(250ms));
    CHECK(parse_duration("60s") == Duration(60s));
    CHECK(parse_duration("5m") == Duration(5min));
    CHECK(parse_duration("24h") == Duration(24h));
    CHECK(parse_duration("7d") == Duration(7 * 24h));
    CHECK(parse_duration("0s") == Duration(0));
    for (const char* text : {"", "60", "s", "1.5h", "-5s", "5 m", "5min", "5M", "1w", "1us", "5s5"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text).has_value());
    }
}

TEST_CASE("units: a duration beyond 292 years is refused, not wrapped") {
    CHECK(parse_duration("106751d").has_value());
    CHECK_FALSE(parse_duration("106752d").has_value());
    CHECK_FALSE(parse_duration("18446744073709551615ms").has_value());
}

TEST_CASE("units: sizes for people have three significant digits") {
    CHECK(size_for_people(0) == "0 B");
    CHECK(size_for_people(1023) == "1023 B");
    CHECK(size_for_people(KiB) == "1.00 KiB");
    CHECK(size_for_people(64 * MiB) == "64.0 MiB");
    CHECK(size_for_people(512 * GiB) == "512 GiB");
    CHECK(size_for_people(MiB + MiB / 2) == "1.50 MiB");
    CHECK(size_for_people(UINT64_MAX) == "16.0 EiB");
}

TEST_CASE("units: rounding up to a full unit names the next unit") {
    CHECK(size_for_people(MiB - 1) == "1.00 MiB");
    CHECK(size_for_people(10 * KiB - 1) == "10.0 KiB");
    CHECK(size_for_people(100 * KiB - 1) == "100 KiB");
    CHECK(size_for_people(1023 * KiB) == "1023 KiB");
}

TEST_CASE("units: durations are written as they are read") {
    for (const char* text : {"0s", "1s", "60s", "90s", "5m", "60m", "24h", "36h", "7d", "3650d", "250ms", "1500ms"}) {
        const auto duration = parse_duration(text);
        REQUIRE(duration);
        CHECK(duration_text(*duration) == text);
    }
}
