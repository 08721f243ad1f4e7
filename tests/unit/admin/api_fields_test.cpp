#include "entrepot/admin/api_fields.h"

#include <doctest/doctest.h>

namespace entrepot {
namespace {

nlohmann::json object(std::string_view text) { return nlohmann::json::parse(text); }

std::string problem_of(ApiFields& fields) {
    auto sound = fields.finish();
    return sound ? "" : std::to_string(sound.error().status) + " " + sound.error().message;
}

}  // namespace

TEST_CASE("api fields: members are read by type, null is absent, and what nobody asked for is refused by name") {
    auto json = object(R"({"text":"a","flag":true,"number":7,"texts":["b","c"],"gone":null})");
    ApiFields fields(json);
    CHECK(fields.text("text") == "a");
    CHECK(fields.flag("flag") == true);
    CHECK(fields.number("number", 1, 7) == 7);
    CHECK(fields.texts("texts", 2) == std::vector<std::string>{"b", "c"});
    CHECK_FALSE(fields.text("gone"));
    CHECK_FALSE(fields.text("absent"));
    CHECK(fields.any("gone")->is_null());
    CHECK(fields.any("absent") == nullptr);
    CHECK(problem_of(fields).empty());

    auto more = object(R"({"text":"a","txet":"b"})");
    ApiFields strict(more, "cacheRules[3]");
    CHECK(strict.text("text") == "a");
    CHECK(problem_of(strict) == "400 cacheRules[3] has 'txet', which is not known here");
}

TEST_CASE("api fields: a wrong type is refused and never becomes a value; the first problem stays") {
    struct Row {
        const char* json;
        void (*read)(ApiFields&);
        std::string problem;
    };
    for (auto& row : {
             Row{R"({"a":1})", [](auto& fields) { CHECK_FALSE(fields.text("a")); },
                 "400 the body has 'a', which must be a string of at most 4096 bytes without NUL"},
             Row{R"({"a":"x\u0000y"})", [](auto& fields) { CHECK_FALSE(fields.text("a")); },
                 "400 the body has 'a', which must be a string of at most 4096 bytes without NUL"},
             Row{R"({"a":"true"})", [](auto& fields) { CHECK_FALSE(fields.flag("a")); },
                 "400 the body has 'a', which must be true or false"},
             Row{R"({"a":1.0})", [](auto& fields) { CHECK_FALSE(fields.number("a", 0, 9)); },
                 "400 the body has 'a', which must be a whole number from 0 to 9"},
             Row{R"({"a":10})", [](auto& fields) { CHECK_FALSE(fields.number("a", 0, 9)); },
                 "400 the body has 'a', which must be a whole number from 0 to 9"},
             Row{R"({"a":18446744073709551615})", [](auto& fields) { CHECK_FALSE(fields.number("a", -1, 9)); },
                 "400 the body has 'a', which must be a whole number from -1 to 9"},
             Row{R"({"a":["x",1]})", [](auto& fields) { CHECK_FALSE(fields.texts("a", 9)); },
                 "400 the body has 'a', which must be a list of at most 9 strings"},
             Row{R"({"a":["x","y"]})", [](auto& fields) { CHECK_FALSE(fields.texts("a", 1)); },
                 "400 the body has 'a', which must be a list of at most 1 strings"},
             Row{R"({})", [](auto& fields) { CHECK(fields.required_text("a").empty()); }, "400 the body lacks 'a'"},
             Row{R"([])", [](auto& fields) { CHECK_FALSE(fields.text("a")); }, "400 the body must be an object"},
         }) {
        CAPTURE(row.json);
        auto json = object(row.json);
        ApiFields fields(json);
        row.read(fields);
        fields.refuse("is refused later");
        CHECK(problem_of(fields) == row.problem);
    }
}

TEST_CASE("api fields: a text may be 4,096 bytes long and not one more") {
    nlohmann::json json;
    json["fits"] = std::string(ApiFields::text_bytes_max, 'x');
    json["not"] = std::string(ApiFields::text_bytes_max + 1, 'x');
    ApiFields fields(json);
    CHECK(fields.text("fits"));
    CHECK_FALSE(fields.text("not"));
    CHECK_FALSE(problem_of(fields).empty());
}

}  // namespace entrepot
