#include "entrepot/admin/json_document.h"

#include <doctest/doctest.h>

namespace entrepot {

TEST_CASE("json document: what is JSON is read, with every kind of value") {
    auto read = parse_json_strictly(R"({"a":[1,-2,3.5,true,false,null,"text \u00e4 \ud83d\ude00"],"b":{"a":{}}})");
    REQUIRE(read);
    CHECK((*read)["a"].size() == 7);
    CHECK((*read)["a"][6] == "text ä 😀");
    CHECK(parse_json_strictly(" \r\n\t{} \n"));
    CHECK(parse_json_strictly("[]"));
}

TEST_CASE("json document: what two readers could take differently is refused, with its place and without its text") {
    struct Row {
        std::string text, reason;
    };
    const std::string secret = "hunter2";
    for (auto& row : {
             Row{"", "is not JSON (line 1, column 1)"},
             Row{"{", "is not JSON (line 1, column 2)"},
             Row{"{\"a\":\"" + secret + "\",}", "is not JSON (line 1, column 16)"},
             Row{"{\"a\":1}\n{}", "is not JSON (line 2, column 1)"},
             Row{"{\"a\":1} x", "is not JSON (line 1, column 9)"},
             Row{"{'a':1}", "is not JSON (line 1, column 2)"},
             Row{"{a:1}", "is not JSON (line 1, column 2)"},
             Row{"{\"a\":01}", "is not JSON"},
             Row{"{\"a\":+1}", "is not JSON"},
             Row{"{\"a\":.5}", "is not JSON"},
             Row{"{\"a\":NaN}", "is not JSON"},
             Row{"{\"a\":1e999}", "is not JSON"},
             Row{"/* */{}", "is not JSON"},
             Row{"{} // no", "is not JSON"},
             Row{"\xef\xbb\xbf{}", "begins with a byte order mark"},
             Row{"{\"a\":\"\xff\"}", "is not JSON"},
             Row{"{\"a\":\"\xc0\xaf\"}", "is not JSON"},
             Row{"{\"a\":\"\xed\xa0\x80\"}", "is not JSON"},
             Row{"{\"a\":\"\\ud800\"}", "is not JSON"},
             Row{"{\"a\":\"\n\"}", "is not JSON"},
             Row{std::string("{\"a\":\"\0\"}", 9), "is not JSON"},
             Row{std::string("{}\0", 3), "is not JSON"},
             Row{"{\"a\":1,\"b\":2,\"a\":1}", "has a name twice in one object"},
             Row{"{\"x\":[{\"a\":1,\"\\u0061\":\"" + secret + "\"}]}", "has a name twice in one object"},
         }) {
        CAPTURE(row.text);
        auto read = parse_json_strictly(row.text);
        REQUIRE_FALSE(read);
        CHECK(read.error().starts_with(row.reason));
        CHECK(read.error().find(secret) == std::string::npos);
    }
}

TEST_CASE("json document: the same name in two objects is no repetition") {
    CHECK(parse_json_strictly(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})"));
}

TEST_CASE("json document: 32 levels are read, 33 are not, and 100,000 cost neither stack nor time") {
    auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(parse_json_strictly(nested(json_depth_max)));
    auto refused = parse_json_strictly(nested(json_depth_max + 1));
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == "is nested too deeply");
    CHECK_FALSE(parse_json_strictly(std::string(100'000, '[')));
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
    CHECK_FALSE(parse_json_strictly(objects));
}

TEST_CASE("json document: numbers keep their kind up to the bounds of 64 bits") {
    auto read =
        parse_json_strictly("[18446744073709551615, 9223372036854775807, -9223372036854775808, 18446744073709551616, 1.0]");
    REQUIRE(read);
    CHECK((*read)[0].is_number_unsigned());
    CHECK((*read)[2].is_number_integer());
    CHECK((*read)[3].is_number_float());
    CHECK((*read)[4].is_number_float());
}

TEST_CASE("json document: what is written has no markup, no control byte and nothing but ASCII") {
    nlohmann::json document;
    document["n<a>&"] = "<script>\x1b[31m \x7f \xe2\x80\xae \xff \"quoted\" \\";
    auto text = write_json(document);
    for (char c : text) CHECK((c >= 0x20 && c < 0x7f && c != '<' && c != '>' && c != '&'));
    auto again = parse_json_strictly(text);
    REQUIRE(again);
    CHECK((*again)["n<a>&"] == "<script>\x1b[31m \x7f \xe2\x80\xae \xef\xbf\xbd \"quoted\" \\");
}

}  // namespace entrepot
