#include "entrepot/oci/tags_list.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace entrepot;

namespace {
using Texts = std::initializer_list<std::string>;
std::string joined(TagSet& tags) {
    std::string text;
    for (const std::string_view tag : tags.names()) text.append(text.empty() ? "" : " ").append(tag);
    return text;
}
}  // namespace

TEST_CASE("tags list: pages are collected, sorted bytewise, each tag once") {
    TagSet tags;
    CHECK(tags.add_page(R"({"name":"app","tags":["v2","v10","V1"]})"));
    CHECK(joined(tags) == "V1 v10 v2");
    CHECK(tags.add_page(R"({"tags":["v2","latest"],"name":"app","x":{"tags":["no"]}})"));
    CHECK(joined(tags) == "V1 latest v10 v2");
    CHECK(tags.left_out() == 0);
    TagSet moved = std::move(tags);
    CHECK(joined(moved) == "V1 latest v10 v2");
}

TEST_CASE("tags list: what is no tag is left out and counted") {
    TagSet tags;
    const std::string long_tag(129, 't');
    REQUIRE(tags.add_page(
        R"({"name":"app","tags":["a",null,"sha256:e3b0c442","b",1,-1,0.5,true,["x"],{"tags":"y"},"","<script>","\u001b",")" +
        long_tag + R"("]})"));
    CHECK(joined(tags) == "a b");
    CHECK(tags.left_out() == 12);
}

TEST_CASE("tags list: null and empty lists are lists") {
    TagSet tags;
    CHECK(tags.add_page(R"({"name":"app","tags":null})"));
    CHECK(tags.add_page(R"({"tags":[]})"));
    CHECK(tags.names().empty());
}

TEST_CASE("tags list: anything else is refused and leaves the set as it was") {
    TagSet tags;
    REQUIRE(tags.add_page(R"({"tags":["a"]})"));
    for (const std::string& json : Texts{
             "", "[]", "null", "\"tags\"", "{}", R"({"name":"app"})", R"({"errors":[{"code":"UNKNOWN"}]})", R"({"tags":["b"])",
             R"({"tags":["b"],"tags":["c"]})", R"({"tags":["b",null,1e999]})", R"({"tags":["b",)" + std::string(100'000, '[')}) {
        CAPTURE(json.substr(0, 60));
        const auto added = tags.add_page(json);
        REQUIRE_FALSE(added);
        CHECK(added.error() == ListFault::not_json);
        CHECK(joined(tags) == "a");
        CHECK(tags.left_out() == 0);
    }
}

TEST_CASE("tags list: a million tags pass, one more does not, nor do 10 MiB and a byte") {
    TagSet tags;
    std::string page = R"({"tags":["x")";
    for (int i = 1; i < 500'000; ++i) page += ",\"x\"";
    page += "]}";
    REQUIRE(tags.add_page(page));
    REQUIRE(tags.add_page(page));
    const auto one_more = tags.add_page(R"({"tags":["y"]})");
    REQUIRE_FALSE(one_more);
    CHECK(one_more.error() == ListFault::too_many);
    CHECK(joined(tags) == "x");

    std::string large = R"({"tags":[]})";
    large.append(tags_list_bytes_max - large.size(), ' ');
    CHECK(tags.add_page(large));
    const auto too_large = tags.add_page(large + " ");
    REQUIRE_FALSE(too_large);
    CHECK(too_large.error() == ListFault::too_large);
}

TEST_CASE("tags list: our answer") {
    const std::vector<std::string_view> tags{"a", "b"};
    CHECK(tags_list_body("library/alpine", tags) == R"({"name":"library/alpine","tags":["a","b"]})");
    CHECK(tags_list_body("app", {}) == R"({"name":"app","tags":[]})");
}
