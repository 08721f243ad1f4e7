#include "cli/declarative_commands.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

TEST_CASE("apply: a file is JSON when it begins like it, else TOML; both say the same") {
    auto toml =
        apply_document("# mine\n[[cache_rule]]\nname = \"docker-hub\"\nsource = \"docker.io/*\"\ntarget = \"hub/*\"\n", "f");
    if (!toml) FAIL(toml.error().text);
    auto json = apply_document("\n { \"cacheRules\": [] }", "f");
    REQUIRE(json.has_value());
    CHECK((*toml)["cacheRules"][0]["sourceRepository"] == "docker.io/*");
    CHECK(!(*toml)["cacheRules"][0].contains("etag"));
    CHECK((*json)["cacheRules"].empty());
}

TEST_CASE("apply: what is wrong with a file is said with its line") {
    const std::pair<const char*, const char*> rows[] = {
        {"{ \"cacheRules\": [", "rules.toml is no sound JSON"},
        {"[[cache_rule]]\nname = \"a\"\nsource = \"b\"\ntarget = \"c\"\ntag_tll = \"5m\"\n",
         "rules.toml:5: [[cache_rule]] has no key \"tag_tll\""},
        {"[server]\nlisten = []\n", "rules.toml:1: the file has no key \"server\""},
        {"[[cache_rule]]\nname = \n", "rules.toml:2: "},
        {"[[credential_set]]\nname = \"a\"\nlogin_server = \"docker.io\"\nusername = \"hunter2\"\npassword = \"env:P\"\n",
         "rules.toml:4: "},
    };
    for (const auto& [text, message] : rows) {
        auto document = apply_document(text, "rules.toml");
        REQUIRE_MESSAGE(!document.has_value(), text);
        CHECK_MESSAGE(document.error().text.find(message) != std::string::npos, document.error().text);
        CHECK(document.error().text.find("hunter2") == std::string::npos);
        CHECK(document.error().text.find('\n') == std::string::npos);
    }
}

TEST_CASE("export: what this version cannot write as TOML is not dropped") {
    auto toml = exported_toml(
        Json::parse(R"({"cacheRules":[{"name":"docker-hub","sourceRepository":"a","targetRepository":"b","colour":"red"}]})"));
    REQUIRE(!toml.has_value());
    CHECK(toml.error().text.find("colour") != std::string::npos);
    CHECK(toml.error().text.find("-o json") != std::string::npos);
}
