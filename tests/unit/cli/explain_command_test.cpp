#include "cli/explain_command.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

TEST_CASE("explain --with-rule: source first, blanks do not matter, half a rule is wrong usage") {
    for (const auto* text : {"docker.io/*=>hub/*", "docker.io/* => hub/*", "  docker.io/*=>  hub/* "})
        CHECK(rule_of(text)->dump() == R"({"sourceRepository":"docker.io/*","targetRepository":"hub/*"})");
    for (const auto* text : {"", "=>", "docker.io/*", "docker.io/*=>", "=>hub/*", "docker.io/*->hub/*"}) {
        REQUIRE(!rule_of(text).has_value());
        CHECK(rule_of(text).error().status == status_misused);
    }
}
