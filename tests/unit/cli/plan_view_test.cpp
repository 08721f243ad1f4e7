#include "cli/plan_view.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

TEST_CASE("plan: a change says what differs, and nothing that only the server writes") {
    const auto before = Json::parse(
        R"({"name":"hub","tagTtl":"60s","stale":{"network":"forever","missing":"never"},"pull":["alice"],"credentialSet":null,
        "etag":"1","creationDate":"2026-01-01T00:00:00Z","provisioningState":"Succeeded","origin":"api","credentialSetResourceId":null})");
    auto after = before;
    CHECK(difference(before, after) == "");
    after["tagTtl"] = "5m";
    after["stale"]["missing"] = "1h";
    after["pull"].push_back("bob");
    after["credentialSet"] = "login";
    after["credentialSetResourceId"] = "/credentialSets/login";
    after["etag"] = "2";
    CHECK(difference(before, after) ==
          "tagTtl: 60s -> 5m; stale.missing: never -> 1h; pull: alice -> alice, bob; credentialSet: none -> login");
    CHECK(difference(after, before) ==
          "tagTtl: 5m -> 60s; stale.missing: 1h -> never; pull: alice, bob -> alice; credentialSet: login -> none");
}

TEST_CASE("plan: pairs of a credential set are compared by what they refer to") {
    const auto before = Json::parse(
        R"({"authCredentials":[{"name":"Credential1","usernameSecretIdentifier":"env:U","passwordSecretIdentifier":"env:P",
        "credentialHealth":{"status":"Healthy"}}]})");
    auto after = before;
    after["authCredentials"][0]["credentialHealth"]["status"] = "Unknown";
    CHECK(difference(before, after) == "");
    after["authCredentials"][0]["passwordSecretIdentifier"] = "env:NEW";
    CHECK(difference(before, after) == "authCredentials.Credential1.passwordSecretIdentifier: env:P -> env:NEW");
}

TEST_CASE("plan: documents of any shape can be compared") {
    CHECK(difference(Json(), Json::object()) == ": none -> {}");
    CHECK(difference(Json::parse(R"({"a":{"b":{"c":{"d":1}}}})"), Json::parse(R"({"a":{"b":{"c":{"d":2}}}})")) ==
          R"(a.b.c: {"d":1} -> {"d":2})");
    CHECK(difference(Json::parse(R"({"a":1})"), Json::object()) == "a: 1 -> none");
    CHECK(difference(Json::parse(R"({"authCredentials":7})"), Json::object()) == "authCredentials: 7 -> none");
}
