#include "cli/cache_commands.h"

#include "entrepot/rules/rule_document.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::cli;

TEST_CASE("cache update: what is not named is not in the document") {
    CHECK(rule_changes({.name = "hub"}).empty());
    CHECK(rule_changes({.name = "hub", .tag_ttl = "5m"}).dump() == R"({"tagTtl":"5m"})");
    CHECK(rule_changes({.name = "hub", .stale_missing = "24h", .tag_equals = "latest"}).dump() ==
          R"({"stale":{"missing":"24h"},"tags":{"equals":"latest"}})");
}

TEST_CASE("cache update: removing and resetting are null") {
    CHECK(rule_changes({.remove_credential_set = true}).dump() == R"({"credentialSet":null})");
    CHECK(rule_changes({.remove_identity = true}).dump() == R"({"identity":null})");
    CHECK(rule_changes({.tag_ttl = "default", .stale_denied = "default"}).dump() == R"({"tagTtl":null,"stale":{"denied":null}})");
    CHECK(rule_changes({.platforms = std::vector<std::string>{}}).dump() == R"({"platforms":[]})");
}

TEST_CASE("cache create: a rule with everything is one that the server's reader takes") {
    const RuleOptions options{.name = "everything",
                              .source = "docker.io/*",
                              .target = "hub/*",
                              .credential_set = "hub-login",
                              .tag_ttl = "5m",
                              .stale_network = "24h",
                              .stale_server_error = "never",
                              .stale_rate_limit = "forever",
                              .stale_denied = "1h",
                              .stale_missing = "7d",
                              .tag_equals = "latest",
                              .tag_starts_with = "l",
                              .tag_ends_with = "t",
                              .tag_contains = "ate",
                              .platforms = std::vector<std::string>{"linux/amd64"},
                              .allow = std::vector<std::string>{"library/*"},
                              .deny = std::vector<std::string>{"library/evil"},
                              .pull = std::vector<std::string>{"alice", "bob"}};
    RuleText rule;
    auto patched = patch_rule(rule, nlohmann::json(rule_changes(options)), ReadOnlyMembers::refused);
    if (!patched) FAIL(patched.error());
    CHECK(rule.source == "docker.io/*");
    CHECK(rule.target == "hub/*");
    CHECK(rule.credential_set == "hub-login");
    CHECK(rule.tag_ttl == std::chrono::minutes(5));
    CHECK(rule.stale.network == std::chrono::hours(24));
    CHECK(rule.stale.server_error == Duration(0));
    CHECK(rule.stale.rate_limit == StalePolicy::forever);
    CHECK(rule.stale.denied == std::chrono::hours(1));
    CHECK(rule.stale.missing == std::chrono::hours(24 * 7));
    CHECK(rule.tags == TagFilter{"latest", "l", "t", "ate"});
    CHECK(rule.platforms == std::vector<std::string>{"linux/amd64"});
    CHECK(rule.allow == std::vector<std::string>{"library/*"});
    CHECK(rule.deny == std::vector<std::string>{"library/evil"});
    CHECK(rule.pull == std::vector<std::string>{"alice", "bob"});
}
