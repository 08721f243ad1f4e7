#include "entrepot/rules/declaration.h"
#include "entrepot/rules/config.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

RuleText everything() {
    RuleText rule;
    rule.name = "everything";
    rule.source = "docker.io/*";
    rule.target = "hub/*";
    rule.credential_set = "hub-login";
    rule.tag_ttl = std::chrono::minutes(5);
    rule.stale = {.network = std::chrono::hours(24),
                  .server_error = Duration(0),
                  .denied = StalePolicy::forever,
                  .missing = std::chrono::hours(1)};
    rule.tags = {"", "l", "t", "ate"};
    rule.platforms = {"linux/amd64", "linux/arm64/v8"};
    rule.allow = {"library/*", "team/**"};
    rule.deny = {"library/evil"};
    rule.pull = {"alice", "bob"};
    return rule;
}

CredentialSet both_pairs() {
    const auto reference = [](const char* text) { return *parse_secret_reference(text); };
    return {.name = "hub-login",
            .login_server = "docker.io",
            .primary = {reference("file:/etc/entrepot/hub \"user\""), reference("env:HUB_PASS")},
            .secondary = CredentialPair{reference("systemd:user2"), reference("file:/etc/entrepot/back\\slash")}};
}

}  // namespace

TEST_CASE("declaration: what is exported as TOML is read back the same, also by the configuration file") {
    const Declaration exported{{everything()}, {both_pairs()}};
    const auto toml = declaration_toml(exported);
    auto read = parse_declaration(toml, "rules.toml");
    if (!read) FAIL(read.error());
    CHECK(read->rules == exported.rules);
    CHECK(declaration_document(*read) == declaration_document(exported));
    auto config = Config::parse(toml, "entrepot.toml");
    if (!config) FAIL(config.error());
    CHECK(config->rules == exported.rules);
    CHECK(declaration_document({config->rules, config->credential_sets}) == declaration_document(exported));
}

TEST_CASE("declaration: TOML holds no byte that drives a terminal, and nothing that is as by default") {
    RuleText plain;
    plain.name = "plain";
    plain.source = "quay.io/*";
    plain.target = "quay/*";
    CHECK(declaration_toml({{plain}, {}}) ==
          "# For `entrepot apply`: rules and credential sets; what is not said is as by default.\n"
          "\n[[cache_rule]]\nname = \"plain\"\nsource = \"quay.io/*\"\ntarget = \"quay/*\"\n");
    plain.identity = "caf\u00e9 \U0001f433 \"quoted\"\n";
    CHECK(parse_declaration(declaration_toml({{plain}, {}}), "f")->rules == std::vector{plain});
    plain.identity = "a\x1b[2J\u202e\x7f";
    for (unsigned char c : declaration_toml({{plain}, {}})) CHECK((c == '\n' || (c >= 0x20 && c < 0x7f)));
}

TEST_CASE("declaration: its document is read back the same, with or without what the server adds") {
    const Declaration declaration{{everything()}, {both_pairs()}};
    const auto document = declaration_document(declaration);
    for (const auto* member : {"etag", "origin", "creationDate", "provisioningState", "credentialSetResourceId"})
        CHECK(!document["cacheRules"][0].contains(member));
    CHECK(!document["credentialSets"][0]["authCredentials"][0].contains("credentialHealth"));
    auto read = declaration_from_document(document);
    if (!read) FAIL(read.error());
    CHECK(read->rules == declaration.rules);
    CHECK(read->credential_sets == declaration.credential_sets);

    auto served = JsonDocument{{"cacheRules", {rule_document(everything())}},
                               {"credentialSets", {credential_set_document(both_pairs(), {})}}};
    auto from_server = declaration_from_document(served);
    if (!from_server) FAIL(from_server.error());
    CHECK(from_server->rules == declaration.rules);
    CHECK(from_server->credential_sets == declaration.credential_sets);
}

TEST_CASE("declaration: documents of other shapes are refused, never half read") {
    for (const auto* text :
         {"[]", "7", R"({"cacheRules":{}})", R"({"cacheRules":[7]})", R"({"cacheRules":[{}]})", R"({"cacheRules":[{"name":7}]})",
          R"({"cacheRules":[{"name":"hub","tagTtl":7}]})", R"({"credentialSets":[{"name":"a","unknown":1}]})"})
        CHECK_MESSAGE(!declaration_from_document(JsonDocument::parse(text)).has_value(), text);
}

TEST_CASE("declaration: a file is refused by line, also when it would bury the parser") {
    CHECK(parse_declaration("", "f")->rules.empty());
    CHECK(parse_declaration("[[cache_rule]]\nname = 7\n", "f").error().starts_with("f:2: "));
    CHECK(parse_declaration("\n" + std::string(Config::line_bytes_max + 1, 'a'), "f").error() ==
          "f:2: the line is longer than 8 KiB");
    CHECK(parse_declaration(std::string(Declaration::bytes_max + 1, '\n'), "f").error() == "f: is longer than 64 MiB");
}
