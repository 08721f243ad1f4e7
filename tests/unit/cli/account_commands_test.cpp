#include "cli/account_commands.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

TEST_CASE("token create: an expiry is a date as it is, or a time from now") {
    CHECK(expiry_of("2027-01-31T00:00:00Z", 0) == "2027-01-31T00:00:00Z");
    CHECK(expiry_of("90d", 0) == "1970-04-01T00:00:00Z");
    CHECK(expiry_of("12h", 86'400) == "1970-01-02T12:00:00Z");
    for (const auto* text : {"", "never", "30", "2027-01-31", "2027-02-31T00:00:00Z", "0s", "-5m", "10ms"})
        CHECK(expiry_of(text, 0) == "");
}
