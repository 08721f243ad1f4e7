#include "cli/credential_set_commands.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

namespace {

const Json two_pairs = Json::parse(
    R"([{"name":"Credential1","usernameSecretIdentifier":"env:U1","passwordSecretIdentifier":"env:P1","credentialHealth":{"status":"Healthy"}},
                                       {"name":"Credential2","usernameSecretIdentifier":"env:U2","passwordSecretIdentifier":"env:P2"}])");

Json pairs_after(const CredentialSetOptions& options, const Json& pairs) {
    auto changes = credential_set_changes(options, pairs);
    if (!changes) FAIL(changes.error().text);
    return (*changes)["authCredentials"];
}

}  // namespace

TEST_CASE("credential-set update: one half of one pair changes, the rest stays") {
    const auto pairs = pairs_after({.password = "env:NEW"}, two_pairs);
    REQUIRE(pairs.size() == 2);
    CHECK(pairs[0].dump() == R"({"usernameSecretIdentifier":"env:U1","passwordSecretIdentifier":"env:NEW"})");
    CHECK(pairs[1].dump() == R"({"usernameSecretIdentifier":"env:U2","passwordSecretIdentifier":"env:P2"})");
    CHECK(pairs_after({.secondary_password = "env:NEW"}, two_pairs)[1]["usernameSecretIdentifier"] == "env:U2");
}

TEST_CASE("credential-set update: the login server alone leaves the pairs out") {
    CHECK(credential_set_changes({.login_server = "quay.io"}, two_pairs)->dump() == R"({"loginServer":"quay.io"})");
}

TEST_CASE("credential-set update: the second pair comes, and goes") {
    CHECK(pairs_after({.remove_secondary = true}, two_pairs).size() == 1);
    const Json one_pair = Json::array({two_pairs[0]});
    CHECK(pairs_after({.secondary_username = "env:U2", .secondary_password = "env:P2"}, one_pair).size() == 2);
    CHECK(!credential_set_changes({.secondary_username = "env:U2"}, one_pair).has_value());
    CHECK(!credential_set_changes({.secondary_username = "env:U2", .remove_secondary = true}, two_pairs).has_value());
}

TEST_CASE("credential-set create: a pair is required, a second one whole or not at all") {
    const CredentialSetOptions whole{.login_server = "docker.io", .username = "env:U", .password = "env:P"};
    CHECK(
        credential_set_changes(whole, Json())->dump() ==
        R"({"loginServer":"docker.io","authCredentials":[{"usernameSecretIdentifier":"env:U","passwordSecretIdentifier":"env:P"}]})");
    auto half = whole;
    half.secondary_password = "env:P2";
    REQUIRE(!credential_set_changes(half, Json()).has_value());
    CHECK(credential_set_changes(half, Json()).error().status == status_misused);
}
