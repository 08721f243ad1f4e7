#include "entrepot/http/conditional.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace entrepot;

namespace {

bool hits(const std::vector<std::string_view>& lines, std::string_view etag = "\"sha256:aa\"") {
    return if_none_match_hits(lines, etag);
}

}  // namespace

TEST_CASE("If-None-Match: what answers 304 and what does not") {
    CHECK_FALSE(hits({}));
    CHECK(hits({"\"sha256:aa\""}));
    CHECK(hits({"W/\"sha256:aa\""}));
    CHECK(hits({"*"}));
    CHECK(hits({"\"sha256:bb\", \"sha256:aa\""}));
    CHECK(hits({"\"sha256:bb\",W/\"sha256:aa\",\"c\""}));
    CHECK(hits({"\"sha256:bb\"", "\"sha256:aa\""}));
    CHECK(hits({", ,\"sha256:aa\""}));
    CHECK(hits({"\"with,comma\", \"sha256:aa\""}));
    CHECK_FALSE(hits({""}));
    CHECK_FALSE(hits({"\"sha256:bb\""}));
    CHECK_FALSE(hits({"\"SHA256:AA\""}));
    CHECK_FALSE(hits({"sha256:aa"}));
    CHECK_FALSE(hits({"\"sha256:aa"}));
    CHECK_FALSE(hits({"w/\"sha256:aa\""}));
    CHECK_FALSE(hits({"\"sha256:aaa\""}));
    CHECK_FALSE(hits({"\"x, \"sha256:aa\""}));
    CHECK_FALSE(hits({"\"b\" \"sha256:aa\""}));
    CHECK_FALSE(hits({"\"b\", *"}));
    CHECK_FALSE(hits({"*, \"b\""}));
}

TEST_CASE("If-None-Match: a bad line does not spoil the next") { CHECK(hits({"\"open", "\"sha256:aa\""})); }

TEST_CASE("If-None-Match: the comparison is weak on both sides") {
    CHECK(hits({"\"a\""}, "W/\"a\""));
    CHECK(hits({"W/\"a\""}, "W/\"a\""));
}

TEST_CASE("If-None-Match: five thousand tags are read to the last") {
    std::string line;
    for (int i = 0; i < 5000; ++i) line += "\"t\",";
    CHECK_FALSE(hits({line}));
    CHECK(hits({line + "\"sha256:aa\""}));
}
