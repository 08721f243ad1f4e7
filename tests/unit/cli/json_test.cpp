#include "cli/json.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

TEST_CASE("documents: what is no JSON, or nests too deep, is none") {
    CHECK(parse_json("{\"a\":1}").has_value());
    for (const auto* text : {"", "<html>", "{\"a\":}", "{} {}", "{\"a\":\"\xff\"}"}) CHECK(!parse_json(text).has_value());
    const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(parse_json(nested(json_depth_max)).has_value());
    CHECK(!parse_json(nested(json_depth_max + 2)).has_value());
    CHECK(!parse_json(nested(1'000'000)).has_value());
    CHECK(!parse_json(std::string(1'000'000, '[')).has_value());
}

TEST_CASE("documents: shown in the server's order and in ASCII") {
    auto document = parse_json("{\"zebra\":1,\"alpha\":\"\u202ex\\u001b\"}");
    REQUIRE(document.has_value());
    CHECK(shown_json(*document) == "{\n  \"zebra\": 1,\n  \"alpha\": \"\\u202ex\\u001b\"\n}\n");
}

TEST_CASE("documents: a member that is missing or of another type is empty") {
    auto document = *parse_json(R"({"text":"a","number":7,"null":null,"list":["a",2,true,{}],"flag":false})");
    CHECK(text_at(document, "text") == "a");
    CHECK(text_at(document, "number") == "");
    CHECK(text_at(document, "absent") == "");
    CHECK(text_at(Json::array(), "text") == "");
    CHECK(at(document, "absent").is_null());
    CHECK(joined_at(document, "list") == "a, 2, yes, ");
    CHECK(joined_at(document, "text") == "");
    CHECK(scalar_text(at(document, "flag")) == "no");
    CHECK(scalar_text(at(document, "null")) == "");
}
