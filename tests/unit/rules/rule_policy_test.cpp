#include "entrepot/rules/rule_policy.h"

#include <doctest/doctest.h>

#include <functional>

using namespace entrepot;

namespace {

CacheRule rule_with(const std::function<void(RuleText&)>& change) {
    RuleText text;
    text.name = "hub";
    text.source = "docker.io/*";
    text.target = "hub/*";
    change(text);
    auto rule = CacheRule::parse(text);
    if (!rule) FAIL(rule.error());
    return *std::move(rule);
}

}  // namespace

TEST_CASE("rule policy: deny wins over allow, an empty allow allows all, and the reason names the pattern") {
    auto open = rule_with([](RuleText&) {});
    CHECK(why_not_repository(open, "library/alpine").empty());
    auto rule = rule_with([](RuleText& text) {
        text.allow = {"library/*", "team/**"};
        text.deny = {"team/secret/**", "*/evil"};
    });
    CHECK(why_not_repository(rule, "library/alpine").empty());
    CHECK(why_not_repository(rule, "team/a/b").empty());
    CHECK(why_not_repository(rule, "library/evil") == "denies source repository 'library/evil' by its pattern \"*/evil\"");
    CHECK(why_not_repository(rule, "team/secret/x") ==
          "denies source repository 'team/secret/x' by its pattern \"team/secret/**\"");
    CHECK(why_not_repository(rule, "other/x") ==
          "does not allow source repository 'other/x': none of its allow patterns matches");
    CHECK_FALSE(why_not_repository(rule, "library/a/b").empty());
}

TEST_CASE("rule policy: every part of a tag filter must hold, and the reason says the filter in words") {
    auto rule =
        rule_with([](RuleText& text) { text.tags.starts_with = "v1", text.tags.ends_with = "-slim", text.tags.contains = "2"; });
    CHECK(why_not_tag(rule, "v1.2-slim").empty());
    CHECK(why_not_tag(rule, "v1.3-slim") ==
          "serves only tags that start with \"v1\" and end with \"-slim\" and contain \"2\", not 'v1.3-slim'");
    CHECK_FALSE(why_not_tag(rule, "v2-slim").empty());
    CHECK_FALSE(why_not_tag(rule, "v1.2").empty());
    auto one = rule_with([](RuleText& text) { text.tags.equals = "latest"; });
    CHECK(why_not_tag(one, "latest").empty());
    CHECK(why_not_tag(one, "latest2") == "serves only the tag \"latest\", not 'latest2'");
    CHECK(why_not_tag(rule_with([](RuleText&) {}), "anything").empty());
    CHECK(words_of(TagFilter()) == "all tags");
}

TEST_CASE("rule policy: a platform covers its variants, and names are what containerd takes them for") {
    struct Row {
        const char *served, *os, *architecture, *variant;
        bool covered;
    };
    for (auto& row : {Row{"linux/amd64", "linux", "amd64", "", true}, Row{"linux/amd64", "linux", "x86_64", "", true},
                      Row{"linux/amd64", "Linux", "AMD64", "v3", true}, Row{"linux/amd64/v1", "linux", "amd64", "", true},
                      Row{"linux/amd64/v3", "linux", "amd64", "", false}, Row{"linux/arm64", "linux", "arm64", "v8", true},
                      Row{"linux/arm64/v8", "linux", "arm64", "", true}, Row{"linux/arm64", "linux", "aarch64", "8", true},
                      Row{"linux/arm/v7", "linux", "arm", "", true}, Row{"linux/arm/v6", "linux", "armel", "", true},
                      Row{"linux/arm/v6", "linux", "arm", "v7", false}, Row{"linux/amd64", "windows", "amd64", "", false},
                      Row{"linux/amd64", "linux", "arm64", "", false}, Row{"linux/amd64", "unknown", "unknown", "", true},
                      Row{"linux/amd64", "", "", "", true}}) {
        CAPTURE(row.served);
        CAPTURE(row.architecture);
        auto rule = rule_with([&](RuleText& text) { text.platforms = {row.served}; });
        CHECK(why_not_platform(rule, Platform::of(row.os, row.architecture, row.variant)).empty() == row.covered);
    }
    auto two = rule_with([](RuleText& text) { text.platforms = {"linux/amd64", "linux/arm64/v8"}; });
    CHECK(why_not_platform(two, Platform::parse("linux/s390x")) ==
          "serves only platforms linux/amd64, linux/arm64/v8, not linux/s390x");
    CHECK(why_not_platform(rule_with([](RuleText&) {}), Platform::parse("linux/s390x")).empty());
}

TEST_CASE("rule policy: rules that judge a tag's age alike have one freshness, others not") {
    auto plain = rule_with([](RuleText&) {});
    CHECK(plain.freshness() == rule_with([](RuleText& text) { text.name = "other", text.tags.contains = "x"; }).freshness());
    CHECK(plain.freshness() != rule_with([](RuleText& text) { text.tag_ttl = seconds(61); }).freshness());
    CHECK(plain.freshness() != rule_with([](RuleText& text) { text.stale.denied = seconds(1); }).freshness());
    CHECK(plain.freshness() != rule_with([](RuleText& text) { text.stale.missing = seconds(1); }).freshness());
}
