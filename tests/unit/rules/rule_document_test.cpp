#include "entrepot/rules/rule_document.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

RuleText full_rule() {
    RuleText rule;
    rule.name = "team-images";
    rule.source = "registry.test:5000/team/*";
    rule.target = "team/*";
    rule.credential_set = "team-login";
    rule.tag_ttl = std::chrono::minutes(5);
    rule.stale.network = Duration(0);
    rule.stale.missing = std::chrono::hours(24);
    rule.tags.starts_with = "v";
    rule.tags.contains = ".";
    rule.platforms = {"linux/amd64"};
    rule.allow = {"team/**"};
    rule.deny = {"team/private"};
    rule.pull = {"alice"};
    rule.origin = RuleOrigin::api;
    rule.created = 1'800'000'000;
    return rule;
}

CredentialSet full_set() {
    CredentialSet set;
    set.name = "team-login";
    set.login_server = "registry.test:5000";
    set.primary = {{SecretKind::file, "/etc/user"}, {SecretKind::file, "/etc/pass"}};
    set.secondary = CredentialPair{{SecretKind::env, "USER2"}, {SecretKind::systemd, "pass2"}};
    set.origin = RuleOrigin::api;
    set.scope = "team-login#1";
    set.created = 1'800'000'000;
    return set;
}

}  // namespace

TEST_CASE("rule document: what is stored comes back as it was") {
    const auto rule = full_rule();
    const auto back = rule_from_stored(rule.name, stored_text(rule));
    REQUIRE(back);
    CHECK(*back == rule);
    const auto set = full_set();
    const auto set_back = credential_set_from_stored(set.name, stored_text(set));
    REQUIRE(set_back);
    CHECK(*set_back == set);
    CHECK_FALSE(rule_from_stored("x", "[]"));
    CHECK_FALSE(rule_from_stored("x", R"({"sourceRepository":"a","newer":1})"));
}

TEST_CASE("rule document: an export is read by what reads exports, and by nothing stricter") {
    const auto rule = full_rule();
    const auto document = nlohmann::json::parse(rule_document(rule).dump());
    RuleText copy;
    copy.name = rule.name;
    copy.origin = RuleOrigin::api;
    copy.created = rule.created;
    REQUIRE(patch_rule(copy, document, ReadOnlyMembers::ignored));
    CHECK(copy == rule);
    const auto refused = patch_rule(copy, document, ReadOnlyMembers::refused);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().find("there is no member \"") == 0);
}

TEST_CASE("rule document: a patch changes what it names, null takes the default") {
    auto rule = full_rule();
    const auto changes =
        nlohmann::json::parse(R"({"credentialSet":null,"tagTtl":null,"stale":{"denied":"forever"},"pull":null,"tags":null})");
    REQUIRE(patch_rule(rule, changes, ReadOnlyMembers::refused));
    CHECK(rule.credential_set.empty());
    CHECK(rule.tag_ttl == seconds(60));
    CHECK(rule.stale.denied == StalePolicy::forever);
    CHECK(rule.stale.missing == std::chrono::hours(24));
    CHECK(rule.tags.empty());
    CHECK(rule.pull.empty());
    CHECK(rule.source == "registry.test:5000/team/*");
}

TEST_CASE("rule document: each refusal names the member") {
    struct {
        const char *document, *says;
    } const rows[] = {
        {R"([])", "must be an object"},
        {R"({"sourceRepository":7})", "\"sourceRepository\" must be a text"},
        {R"({"tagTtl":"soon"})", "\"tagTtl\" must be a duration"},
        {R"({"tagTtl":60})", "\"tagTtl\" must be a duration"},
        {R"({"stale":{"missing":"often"}})", "\"stale.missing\" must be"},
        {R"({"stale":{"other":"never"}})", "there is no member \"stale.other\""},
        {R"({"stale":"never"})", "\"stale\" must be an object"},
        {R"({"platforms":"linux/amd64"})", "\"platforms\" must be a list of texts"},
        {R"({"allow":[1]})", "\"allow\" must be a list of texts of at most 4096 bytes"},
        {R"({"etag":"x"})", "there is no member \"etag\""},
        {R"({"Sourcerepository":"x"})", "there is no member \"Sourcerepository\""},
    };
    for (const auto& row : rows) {
        RuleText rule;
        const auto refused = patch_rule(rule, nlohmann::json::parse(row.document), ReadOnlyMembers::refused);
        REQUIRE_FALSE(refused);
        CHECK_MESSAGE(refused.error().find(row.says) != std::string::npos, refused.error());
    }
    RuleText rule;
    nlohmann::json many;
    many["platforms"] = std::vector<std::string>(rule_platforms_max + 1, "linux/amd64");
    const auto refused = patch_rule(rule, many, ReadOnlyMembers::refused);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().find("more than 64 entries") != std::string::npos);
    const auto long_source = patch_rule(rule, {{"sourceRepository", std::string(4097, 'a')}}, ReadOnlyMembers::refused);
    REQUIRE_FALSE(long_source);
    CHECK(long_source.error().find("is longer than 4096 bytes") != std::string::npos);
}

TEST_CASE("rule document: a credential set takes one pair or two, and never shows what is no reference") {
    CredentialSet set;
    struct {
        const char *document, *says;
    } const rows[] = {
        {R"({"authCredentials":[]})", "needs one pair"},
        {R"({"authCredentials":[{},{},{}]})", "more than 2"},
        {R"({"authCredentials":[{"usernameSecretIdentifier":"file:/a"}]})", "passwordSecretIdentifier\" is missing"},
        {R"({"authCredentials":[{"usernameSecretIdentifier":"hunter2","passwordSecretIdentifier":"file:/a"}]})",
         "usernameSecretIdentifier\""},
        {R"({"loginServer":"Docker"})", "is no login server"},
        {R"({"authCredentials":{}})", "must be a list of objects"},
    };
    for (const auto& row : rows) {
        const auto refused = patch_credential_set(set, nlohmann::json::parse(row.document), ReadOnlyMembers::refused);
        REQUIRE_FALSE(refused);
        CHECK_MESSAGE(refused.error().find(row.says) != std::string::npos, refused.error());
        CHECK(refused.error().find("hunter2") == std::string::npos);
    }
}

TEST_CASE("credential set: rights are inherited along a pair that stays, and by nobody else") {
    const auto before = full_set();
    auto after = before;
    after.primary = *before.secondary;  // the usual rotation: the second becomes the first
    after.secondary.reset();
    CHECK(scope_after(&before, after, 2) == "team-login#1");
    after.primary.password = {SecretKind::file, "/etc/other"};
    CHECK(scope_after(&before, after, 2) == "team-login#0000000000000002");
    CHECK(scope_after(nullptr, before, 3) == "team-login#0000000000000003");
    after = before;
    after.login_server = "quay.io";
    CHECK(scope_after(&before, after, 4) != "team-login#1");
    auto file = before, other_file = before;
    other_file.primary.password = {SecretKind::file, "/etc/other"};
    CHECK(scope_of_file(file) == scope_of_file(before));
    CHECK(scope_of_file(file) != scope_of_file(other_file));
    CHECK(credential_set_document(before, {}).dump().find("team-login#1") == std::string::npos);
}

TEST_CASE("rule document: the etag follows content, and health is no part of it") {
    auto rule = full_rule();
    const auto before = etag_of(rule);
    CHECK(before.size() == 16);
    rule.pull.push_back("bob");
    CHECK(etag_of(rule) != before);
    rule.pull.pop_back();
    CHECK(etag_of(rule) == before);
    const auto set = full_set();
    const auto healthy = credential_set_document(set, {{CredentialHealth::Status::healthy, "", "", 1'800'000'000}});
    CHECK(healthy["etag"] == etag_of(set));
    CHECK(healthy["authCredentials"][0]["credentialHealth"]["status"] == "Healthy");
    CHECK(healthy["authCredentials"][1]["credentialHealth"]["status"] == "Unknown");
    CHECK(healthy["authCredentials"][0]["credentialHealth"]["checked"] == "2027-01-15T08:00:00Z");
}

TEST_CASE("rule document: times") {
    CHECK(rfc3339(0) == "1970-01-01T00:00:00Z");
    CHECK(parse_rfc3339("2027-01-15T08:00:00Z") == 1'800'000'000);
    for (const char* bad :
         {"", "2027-01-15", "2027-02-31T08:00:00Z", "2027-01-15T08:00:00+", "2027-01-15T25:00:00Z", "x027-01-15T08:00:00Z"})
        CHECK_FALSE(parse_rfc3339(bad));
}
