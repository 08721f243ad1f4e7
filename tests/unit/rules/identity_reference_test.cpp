#include "entrepot/rules/identity_reference.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

const std::string client = "11111111-2222-3333-4444-555555555555";
const std::string resource =
    "/subscriptions/" + client + "/resourceGroups/my-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller_1";

}  // namespace

TEST_CASE("identity reference: comes out as it went in") {
    for (auto& text :
         {std::string("system"), std::string("imds"), std::string("arc"), "imds:" + client, resource,
          "federated:" + client + "@" + client + ":/var/run/token", "certificate:" + client + "@corp.example:/etc/c.pem"}) {
        CAPTURE(text);
        auto identity = parse_identity_reference(text);
        REQUIRE(identity);
        CHECK(identity->text() == text);
        CHECK(*parse_identity_reference(identity->text()) == *identity);
    }
    auto federated = parse_identity_reference("federated:" + client + "@corp.example:/var/run/to:ken");
    REQUIRE(federated);
    CHECK(federated->kind == IdentityKind::federated);
    CHECK(federated->client_id == client);
    CHECK(federated->tenant == "corp.example");
    CHECK(federated->path == "/var/run/to:ken");
}

TEST_CASE("identity reference: what is half right says which half is missing") {
    struct Row {
        std::string text;
        const char* says;
    };
    const Row rows[] = {
        {"", "must be \"system\""},
        {"System", "must be \"system\""},
        {"[system]", "must be \"system\""},
        {"imds:", "client id"},
        {"imds:not-a-guid", "client id"},
        {"imds:" + client + "0", "client id"},
        {"federated:" + client, "CLIENT_ID@TENANT:/path"},
        {"federated:x@corp.example:/t", "client id"},
        {"federated:" + client + "@:/t", "tenant"},
        {"federated:" + client + "@../../common:/t", "tenant"},
        {"federated:" + client + "@a..b:/t", "tenant"},
        {"federated:" + client + "@corp.example:t", "absolute path"},
        {"certificate:" + client + "@corp.example:", "absolute path"},
        {"certificate:" + client + "@corp.example:/a\nb", "absolute path"},
        {resource + "/more", "must be \"system\""},
        {"/subscriptions/x/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n", "must be \"system\""},
        {"/subscriptions", "must be \"system\""},
        {"/", "must be \"system\""},
        {"/subscriptions/" + client + "/resourceGroups/a&b=c/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n",
         "must be \"system\""},
        {std::string(1025, 'x'), "too long"},
    };
    for (auto& row : rows) {
        CAPTURE(row.text);
        auto identity = parse_identity_reference(row.text);
        REQUIRE_FALSE(identity);
        CHECK(identity.error().find(row.says) != std::string::npos);
    }
}
