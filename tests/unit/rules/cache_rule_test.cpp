#include "entrepot/rules/cache_rule.h"

#include "entrepot/oci/name.h"
#include "entrepot/rules/known_registries.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace entrepot;

namespace {

RuleText rule(std::string source, std::string target) {
    RuleText text;
    text.name = "hub";
    text.source = std::move(source);
    text.target = std::move(target);
    return text;
}
std::string refusal_of(const RuleText& text) {
    const auto parsed = CacheRule::parse(text);
    return parsed ? "" : parsed.error();
}

}  // namespace

TEST_CASE("cache rule: an official image's name must fit with the library it lies in") {
    const std::string fits(repository_bytes_max - std::string("library/").size(), 'a');
    CHECK(CacheRule::parse(rule("docker.io/" + fits, "a")));
    CHECK(refusal_of(rule("docker.io/" + fits + "a", "a")).find("library/") != std::string::npos);
    CHECK(refusal_of(rule("index.docker.io/" + fits + "a", "a")).find("library/") != std::string::npos);
    CHECK(CacheRule::parse(rule("quay.io/" + fits + "a", "a")));  // library/ is Docker Hub's habit alone
}

TEST_CASE("cache rule: sources are normalised, and a parsed rule's text parses to itself") {
    struct {
        std::string source, target, normalised, login_server, source_path, target_path;
        bool wildcard;
    } const rows[] = {
        {"docker.io/library/ubuntu", "ubuntu", "docker.io/library/ubuntu", "docker.io", "library/ubuntu", "ubuntu", false},
        {"docker.io/ubuntu", "ubuntu", "docker.io/library/ubuntu", "docker.io", "library/ubuntu", "ubuntu", false},
        {"docker.io/bitnami/redis", "redis", "docker.io/bitnami/redis", "docker.io", "bitnami/redis", "redis", false},
        {"quay.io/app", "app", "quay.io/app", "quay.io", "app", "app", false},  // library/ is Docker Hub's habit alone
        {"docker.io/*", "hub/*", "docker.io/*", "docker.io", "", "hub/", true},
        {"docker.io/library/*", "library/*", "docker.io/library/*", "docker.io", "library/", "library/", true},
        {"mcr.microsoft.com/*", "*", "mcr.microsoft.com/*", "mcr.microsoft.com", "", "", true},
        {"registry-1.docker.io/ubuntu", "u", "docker.io/library/ubuntu", "docker.io", "library/ubuntu", "u", false},
        {"index.docker.io/*", "docker.io/*", "docker.io/*", "docker.io", "", "docker.io/", true},
        {"localhost:5000/a/b/*", "c/d/*", "localhost:5000/a/b/*", "localhost:5000", "a/b/", "c/d/", true},
        {"[::1]:5000/a", "a", "[::1]:5000/a", "[::1]:5000", "a", "a", false},
        {"localhost/a", "a", "localhost/a", "localhost", "a", "a", false},
    };
    for (const auto& row : rows) {
        CAPTURE(row.source);
        const auto parsed = CacheRule::parse(rule(row.source, row.target));
        REQUIRE(parsed);
        CHECK(parsed->source() == row.normalised);
        CHECK(parsed->login_server() == row.login_server);
        CHECK(parsed->source_path() == row.source_path);
        CHECK(parsed->target_path() == row.target_path);
        CHECK(parsed->wildcard() == row.wildcard);
        const auto again = CacheRule::parse(parsed->text());
        REQUIRE(again);
        CHECK(again->text() == parsed->text());
        CHECK(again->source_path() == parsed->source_path());
    }
}

TEST_CASE("cache rule: refusals name the rule, the text and what is wrong") {
    const std::string a255(255, 'a');
    struct {
        std::string source, target, says;
    } const rows[] = {
        {"library/ubuntu", "u", "source \"library/ubuntu\" does not start with a login server"},
        {"", "u", "does not start with a login server"},
        {"docker.io", "u", "source \"docker.io\" names no repository; end it with \"/*\""},
        {"docker.io/", "u", "names no repository"},
        {"Docker.io/a", "u", "capital letters"},
        {"docker.io/Ubuntu", "u", "capital letters"},
        {"docker.io/a", "Ubuntu", "target \"Ubuntu\" has capital letters"},
        {"docker.io/ubuntu:22.04", "u", "names a tag, a digest or a port"},
        {"docker.io/ubuntu@sha256:00", "u", "names a tag, a digest or a port"},
        {"docker.io/a", "u:1", "names a tag, a digest or a port"},
        {"docker.io/*/ubuntu", "u", "'*' that is not the last path component"},
        {"docker.io/a*", "u*", "'*' that is not the last path component"},
        {"docker.io/a/**", "u/*", "'*' that is not the last path component"},
        {"docker.io/a/*", "u/*/v/*", "'*' that is not the last path component"},
        {"docker.io/*", "u", "must both end in '*' or both name one repository"},
        {"docker.io/a", "u/*", "must both end in '*' or both name one repository"},
        {"docker.io/../etc", "u", "is not a valid repository name"},
        {"docker.io/a//b", "u", "is not a valid repository name"},
        {"docker.io/a", "../u", "target \"../u\" is not a valid repository name"},
        {"docker.io/a", "/u", "is not a valid repository name"},
        {"docker.io/a", "u/", "is not a valid repository name"},
        {"docker.io//*", "u/*", "is not a valid repository name"},
        {"docker.io/a", "", "target \"\" names no repository"},
        {"docker.io:0/a", "u", "valid login server"},
        {"-docker.io/a", "u", "valid login server"},
        {"https://docker.io/a", "u", "valid login server"},
        {"docker.io/" + a255 + "a", "u", "is not a valid repository name"},
        {"docker.io/a/*", std::string(254, 'a') + "/*", "leaves no room"},
        {"docker.io/\x1b[31m", "u", "\\x1b[31m"},  // shown, not played
    };
    for (const auto& row : rows) {
        CAPTURE(row.source);
        CAPTURE(row.target);
        const std::string refusal = refusal_of(rule(row.source, row.target));
        CHECK(refusal.starts_with("cache rule \"hub\": "));
        CHECK_MESSAGE(refusal.find(row.says) != std::string::npos, refusal);
    }
    CHECK(refusal_of(rule("docker.io/a/*", std::string(253, 'a') + "/*")).empty());
    CHECK(refusal_of(rule("quay.io/" + a255, a255)).empty());
}

TEST_CASE("cache rule: names of 1 to 50 letters, digits and dashes in files, of 5 to 50 through the API") {
    CHECK(is_rule_name("a", RuleOrigin::file));
    CHECK(is_rule_name("Hub-2", RuleOrigin::api));
    CHECK(is_rule_name(std::string(50, 'x'), RuleOrigin::api));
    CHECK_FALSE(is_rule_name("", RuleOrigin::file));
    CHECK_FALSE(is_rule_name("hub", RuleOrigin::api));
    for (const std::string& name :
         {std::string(51, 'x'), std::string("a_bcde"), std::string("a.bcde"), std::string("a bcde"), std::string("abcde\n"),
          std::string("abcd\xc3\xa9"), std::string("abcd@"), std::string("abcd["), std::string("abcd`"), std::string("abcd{")}) {
        CHECK_FALSE(is_rule_name(name, RuleOrigin::file));
        CHECK_FALSE(is_rule_name(name, RuleOrigin::api));
    }
    RuleText text = rule("docker.io/*", "hub/*");
    text.origin = RuleOrigin::api;
    CHECK(refusal_of(text) == "cache rule \"hub\": its name must be 5 to 50 letters, digits or '-'");
    text.name = "hu b";
    text.origin = RuleOrigin::file;
    CHECK(refusal_of(text) == "cache rule \"hu b\": its name must be 1 to 50 letters, digits or '-'");
}

TEST_CASE("cache rule: tag_ttl may be nothing, and no more than ten years") {
    RuleText text = rule("docker.io/*", "hub/*");
    text.tag_ttl = seconds(0);
    CHECK(refusal_of(text).empty());
    text.tag_ttl = std::chrono::hours(24 * 3650);
    CHECK(refusal_of(text).empty());
    text.tag_ttl += seconds(1);
    CHECK(refusal_of(text).find("tag_ttl must be between") != std::string::npos);
    text.tag_ttl = seconds(-1);
    CHECK(refusal_of(text).find("tag_ttl must be between") != std::string::npos);
}

TEST_CASE("cache rule: the default rules are sound, one for each public registry") {
    std::set<std::string> names, sources;
    for (const RuleText& text : default_rules()) {
        CAPTURE(text.name);
        CHECK(refusal_of(text) == "");
        CHECK(text.source == text.target);
        CHECK(text.origin == RuleOrigin::builtin);
        names.insert(text.name);
        sources.insert(text.source);
    }
    CHECK(names.size() == default_login_servers().size());
    for (const char* source :
         {"docker.io/*", "mcr.microsoft.com/*", "public.ecr.aws/*", "ghcr.io/*", "nvcr.io/*", "quay.io/*", "registry.k8s.io/*",
          "gcr.io/*", "us.gcr.io/*", "eu.gcr.io/*", "asia.gcr.io/*", "us-docker.pkg.dev/*", "europe-west1-docker.pkg.dev/*"}) {
        CHECK(sources.count(source) == 1);
    }
}

TEST_CASE("known registries: where Docker Hub and GitLab keep what, and nothing about others") {
    const KnownRegistry* hub = find_known_registry("docker.io");
    REQUIRE(hub);
    CHECK(hub->endpoint_host == "registry-1.docker.io");
    REQUIRE(hub->realm_hosts.size() == 1);
    CHECK(hub->realm_hosts[0] == "auth.docker.io");
    REQUIRE(find_known_registry("registry.gitlab.com"));
    CHECK(find_known_registry("registry.gitlab.com")->realm_hosts[0] == "gitlab.com");
    CHECK_FALSE(find_known_registry("ghcr.io"));
    CHECK_FALSE(find_known_registry(""));
    CHECK(canonical_login_server("index.docker.io") == "docker.io");
    CHECK(canonical_login_server("ghcr.io") == "ghcr.io");
    for (const std::string_view login_server : default_login_servers()) CHECK(is_login_server(login_server));
}

TEST_CASE("cache rule: policies are checked, each refusal names the list and the entry") {
    const auto with = [](auto change) {
        RuleText rule;
        rule.name = "hub";
        rule.source = "docker.io/*";
        rule.target = "hub/*";
        change(rule);
        const auto parsed = CacheRule::parse(rule);
        return parsed ? std::string() : parsed.error();
    };
    const auto says = [&](auto change, std::string_view text) { return with(change).find(text) != std::string::npos; };
    CHECK(with([](RuleText& rule) { rule.platforms = {"linux/amd64", "linux/arm/v7"}; }).empty());
    CHECK(says([](RuleText& rule) { rule.platforms = {"linux"}; }, "platform \"linux\" is no platform"));
    CHECK(says([](RuleText& rule) { rule.platforms = {"linux//v8"}; }, "is no platform"));
    CHECK(says([](RuleText& rule) { rule.platforms.assign(65, "linux/amd64"); }, "more than 64 entries"));
    CHECK(with([](RuleText& rule) { rule.allow = {"library/*", "team/**", "a-b/*/c"}; }).empty());
    CHECK(says([](RuleText& rule) { rule.deny = {"Library/x"}; }, "deny \"Library/x\" "));
    CHECK(says([](RuleText& rule) { rule.allow = {"/x"}; }, "allow \"/x\" "));
    // A deny that can never match would be believed to hold.
    CHECK(
        says([](RuleText& rule) { rule.deny = {"docker.io/library/x"}; }, "deny \"docker.io/library/x\" names the login server"));
    CHECK(says([](RuleText& rule) { rule.deny = {"docker.io"}; }, "write \"**\""));
    CHECK(says([](RuleText& rule) { rule.deny = {"ubuntu"}; }, "write \"library/ubuntu\""));
    CHECK(says([](RuleText& rule) { rule.allow = {"*"}; }, "write \"library/*\""));
    CHECK(says([](RuleText& rule) { rule.source = "index.docker.io/*", rule.deny = {"index.docker.io/x/y"}; }, "write \"x/y\""));
    CHECK(with([](RuleText& rule) { rule.allow = {"**", "*/*"}; }).empty());
    CHECK(with([](RuleText& rule) { rule.source = "quay.io/*", rule.deny = {"alone", "*", "docker.io/x"}; }).empty());
    CHECK(with([](RuleText& rule) { rule.pull = {"anonymous"}; }).empty());
    CHECK(says([](RuleText& rule) { rule.pull = {"anonymous", "bob"}; }, "everybody, beside others"));
    CHECK(says([](RuleText& rule) { rule.pull = {"b b"}; }, "is no account name"));
    CHECK(with([](RuleText& rule) { rule.tags = {"", "v", "-slim", "."}; }).empty());
    CHECK(says([](RuleText& rule) { rule.tags = {"latest", "v", "", ""}; }, "names one tag"));
    CHECK(says([](RuleText& rule) { rule.tags.contains = "a b"; }, "could be part of no tag"));
    CHECK(says([](RuleText& rule) { rule.credential_set = "login", rule.identity = "system"; }, "not both"));
    CHECK(says([](RuleText& rule) { rule.identity = "[system]"; }, "identity must be \"system\""));
}

TEST_CASE("cache rule: who may pull when nobody said so") {
    RuleText rule;
    CHECK(rule.anonymous());
    rule.credential_set = "login";
    CHECK_FALSE(rule.anonymous());
    rule.pull = {"anonymous"};
    CHECK(rule.anonymous());
    rule.credential_set.clear();
    rule.pull = {"alice"};
    CHECK_FALSE(rule.anonymous());
}

TEST_CASE("cache rule: the tag filter") {
    CHECK(TagFilter{}.admits("anything"));
    const TagFilter one{.equals = "3.20"};
    CHECK(one.admits("3.20"));
    CHECK_FALSE(one.admits("3.200"));
    const TagFilter several{.starts_with = "3.", .ends_with = "-slim", .contains = "2"};
    CHECK(several.admits("3.20-slim"));
    CHECK_FALSE(several.admits("3.10-slim"));
    CHECK_FALSE(several.admits("3.20"));
    CHECK_FALSE(several.admits("13.20-slim"));
}
