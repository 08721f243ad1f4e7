// Secrets that other services keep, and their rotation.

#include "entrepot/http/jwt.h"
#include "upstream/service_documents.h"
#include "upstream/upstream_box.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

using Plan = UpstreamBox::Plan;

std::string basic_of(const std::string& user, const std::string& password) { return Secret(user, password).basic_header(); }

/// A registry that asks for Basic and takes one login.
struct BasicRegistry {
    std::string good;
    ScriptedServer server{[this](const ServedRequest& request) {
        return request.header("Authorization") == good ? Served::ok("blob") : Served::unauthorized(R"(Basic realm="lab")");
    }};
};

/// A box whose credential's password is where `reference` says.
struct VaultBox : UpstreamBox {
    VaultBox(const BasicRegistry& registry, const std::string& reference, const ServiceConfig& services,
             Duration secret_life = 30s)
        : UpstreamBox(plan(registry, services, secret_life)) {
        credential = credential_set("set0", {{files.write("user", "lab"), reference}});
    }
    static Plan plan(const BasicRegistry& registry, const ServiceConfig& services, Duration secret_life) {
        Plan plan{.endpoints = {registry.server.url()}};
        plan.options.services = services;
        plan.options.secret_life = secret_life;
        return plan;
    }
};

/// HashiCorp Vault with one secret.
struct FakeVault {
    std::string password = "correct-horse", token = "s.root";
    std::string login;  ///< the body that gets the token
    ScriptedServer server{[this](const ServedRequest& request) {
        if (request.target().starts_with("/v1/auth/"))
            return request.body == login
                       ? Served::ok(fmt::format(R"({{"auth":{{"client_token":"{}","lease_duration":3600}}}})", token))
                       : Served::status(400);
        if (request.header("X-Vault-Token") != token)
            return Served::status(403, "", R"({"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]})");
        if (request.target() == "/v1/kv/data/others/hub")
            return Served::status(403, "", R"({"errors":["1 error occurred:\n\t* permission denied\n\n"]})");
        if (request.target() == "/v1/kv/data/team/gone")
            return Served::status(404, "", R"({"data":{"data":null,"metadata":{"deletion_time":"2026-01-01T00:00:00Z"}}})");
        if (request.target() != "/v1/kv/data/team/hub") return Served::status(404, "", R"({"errors":[]})");
        return Served::ok(
            fmt::format(R"({{"data":{{"data":{{"password":"{}","number":5}},"metadata":{{"version":3}}}}}})", password));
    }};

    ServiceConfig services(SecretFiles& files) const {
        ServiceConfig services;
        services.vault.address = server.url();
        services.vault.token = *parse_secret_reference(files.write("vault-token", "s.root\n"));
        return services;
    }
    std::vector<std::string> targets() const {
        std::vector<std::string> found;
        for (auto& request : server.requests()) found.push_back(request.target());
        return found;
    }
};

std::string fetched(const Exchanged& exchanged) { return exchanged.failure ? exchanged.why() : exchanged.body; }

}  // namespace

TEST_CASE("vault: a field of a secret is the password, read once while it is good") {
    SecretFiles files;
    FakeVault vault;
    BasicRegistry registry{.good = basic_of("lab", "correct-horse")};
    auto services = vault.services(files);
    services.vault.vault_namespace = "team-a";
    VaultBox box(registry, "vault:kv/team/hub#password", services);
    for (const char* repository : {"lab/one", "lab/two", "lab/three"}) {
        auto request = box.request();
        request.repository = repository;
        CHECK(fetched(box.ask(request)) == "blob");
    }
    REQUIRE(vault.targets() == std::vector<std::string>{"/v1/kv/data/team/hub"});
    CHECK(vault.server.requests()[0].header("X-Vault-Token") == "s.root");
    CHECK(vault.server.requests()[0].header("X-Vault-Namespace") == "team-a");
    CHECK(vault.server.requests()[0].header("X-Vault-Request") == "true");
}

TEST_CASE("vault: a rotated secret is seen when the old one is refused, or when its time is over") {
    SecretFiles files;
    FakeVault vault;
    BasicRegistry registry{.good = basic_of("lab", "correct-horse")};
    VaultBox box(registry, "vault:kv/team/hub#password", vault.services(files), 1500ms);
    CHECK(fetched(box.ask()) == "blob");
    vault.password = "freshly-rotated";
    registry.good = basic_of("lab", "freshly-rotated");
    // A vault is not asked more than once a second, however often what it gave is refused.
    CHECK(box.ask().code() == Code::unauthorized);
    CHECK(box.ask().code() == Code::unauthorized);
    CHECK(vault.server.count() == 1);
    box.loop.run_for(1100ms);
    CHECK(fetched(box.ask()) == "blob");
    CHECK(vault.server.count() == 2);
    box.loop.run_for(1600ms);
    CHECK(fetched(box.ask()) == "blob");
    CHECK(vault.server.count() == 3);
}

TEST_CASE("vault: logs in by role or by a token of another issuer, and again when the vault forgets") {
    SecretFiles files;
    BasicRegistry registry{.good = basic_of("lab", "correct-horse")};
    for (bool by_role : {true, false}) {
        CAPTURE(by_role);
        FakeVault vault;
        vault.login = by_role ? R"({"role_id":"r\"1","secret_id":"s3cret-id"})" : R"({"jwt":"a.b.c","role":"puller"})";
        ServiceConfig services;
        services.vault.address = vault.server.url();
        if (by_role) services.vault.approle = {"r\"1", *parse_secret_reference(files.write("secret-id", "s3cret-id\n"))};
        else services.vault.jwt = {"puller", files.write("jwt", "a.b.c\n", 0644).substr(5)};
        VaultBox box(registry, "vault:kv/team/hub#password", services, 100ms);
        CHECK(fetched(box.ask()) == "blob");
        auto login = std::string(by_role ? "/v1/auth/approle/login" : "/v1/auth/jwt/login");
        CHECK(vault.targets() == std::vector<std::string>{login, "/v1/kv/data/team/hub"});
        CHECK(vault.server.requests()[0].header("Content-Type") == "application/json");
        vault.token = "s.another";  // the old one is revoked
        box.loop.run_for(150ms);
        CHECK(fetched(box.ask()) == "blob");
        CHECK(vault.targets().size() == 5);
        CHECK(vault.targets()[3] == login);
    }
}

TEST_CASE("vault: what goes wrong is told by the reference, and no secret is") {
    SecretFiles files;
    BasicRegistry registry;
    FakeVault vault;
    struct Row {
        const char* reference;
        const char* token;
        const char* says;
    };
    for (auto row :
         {Row{"vault:kv/team/hub#absent", "s.root", "there is no such text"},
          Row{"vault:kv/team/hub#number", "s.root", "no such text"},
          Row{"vault:kv/team/other#password", "s.root", "there is no such secret"},
          Row{"vault:kv/team/gone#password", "s.root", "answered 404: its newest version is deleted"},
          Row{"vault:kv/others/hub#password", "s.root", "answered 403: give our login a policy that reads kv/data/others/hub"},
          Row{"vault:kv/team/hub#password", "s.revoked", "(the token has ended or was revoked): put a good one into file:"}}) {
        CAPTURE(std::string(row.reference));
        auto services = vault.services(files);
        files.write("vault-token", row.token);
        VaultBox box(registry, row.reference, services);
        auto refused = box.ask();
        CHECK(refused.code() == Code::unauthorized);
        CHECK(refused.failure->error.fault == Fault::policy);
        CHECK(refused.why().find(row.reference) != std::string::npos);
        CHECK(refused.why().find(row.says) != std::string::npos);
        for (auto* secret : {"correct-horse", "s.root", "s.revoked"}) CHECK(refused.why().find(secret) == std::string::npos);
        CHECK(box.credential->health().at(0).code == "SecretUnreadable");
    }
    {
        VaultBox box(registry, "vault:kv/team/hub#password", ServiceConfig());
        CHECK(box.ask().why().find("name its address in [vault]") != std::string::npos);
    }

    ServiceConfig down = vault.services(files);
    down.vault.address = fmt::format("http://127.0.0.1:{}", closed_port());
    VaultBox unreachable(registry, "vault:kv/team/hub#password", down);
    auto refused = unreachable.ask();
    CHECK(refused.code() == Code::refused);
    CHECK(refused.failure->error.fault == Fault::policy);
    CHECK(unreachable.credential->health().at(0).code == "Unreachable");
    CHECK(registry.server.logins().empty());
}

TEST_CASE("vault: what it refuses is asked for once a second, and a policy's refusal costs no further login") {
    SecretFiles files;
    BasicRegistry registry;
    FakeVault vault;
    vault.login = R"({"role_id":"r1","secret_id":"s3cret-id"})";
    ServiceConfig services;
    services.vault.address = vault.server.url();
    services.vault.approle = {"r1", *parse_secret_reference(files.write("secret-id", "s3cret-id\n"))};
    VaultBox box(registry, "vault:kv/others/hub#password", services);
    for (int i = 0; i < 3; ++i) CHECK(box.ask().why().find("give our login a policy") != std::string::npos);
    const std::string login = "/v1/auth/approle/login", secret = "/v1/kv/data/others/hub";
    CHECK(vault.targets() == std::vector{login, secret});
    box.loop.run_for(1100ms);
    CHECK(box.ask().why().find("give our login a policy") != std::string::npos);
    CHECK(vault.targets() == std::vector{login, secret, secret});
    // Who checks the login wants to know what is true now.
    CHECK(box.check()[0].status == CredentialHealth::Status::unhealthy);
    CHECK(vault.targets() == std::vector{login, secret, secret, secret});
}

TEST_CASE("vault: a refused login says which of the operator's words to look at, and nothing that the vault repeats") {
    SecretFiles files;
    BasicRegistry registry;
    struct Row {
        bool by_role;
        int status;
        const char* body;
        const char* says;
        const char* code;
    };
    for (auto row :
         {Row{true, 400, R"({"errors":["invalid role or secret ID"]})",
              "answered 400 (the role ID is unknown, or the secret ID is wrong or has ended) to our login: check role_id, "
              "the secret ID in file:",
              "SecretUnreadable"},
          Row{true, 400, R"({"errors":["invalid secret_id \"s3cret-id\""]})", "answered 400 to our login: check role_id",
              "SecretUnreadable"},
          Row{true, 403, R"({"errors":["permission denied"]})", "that AppRole is at auth/approle", "SecretUnreadable"},
          Row{false, 400, R"({"errors":["role \"puller\" could not be found"]})",
              "(it has no such role) to our login: check role, the token in /", "SecretUnreadable"},
          Row{true, 503, R"({"errors":["Vault is sealed"]})", "answered 503 (it is sealed) to our login", "Unreachable"}}) {
        CAPTURE(std::string(row.says));
        ScriptedServer vault([row](const ServedRequest&) { return Served::status(row.status, "", row.body); });
        ServiceConfig services;
        services.vault.address = vault.url();
        if (row.by_role) services.vault.approle = {"r1", *parse_secret_reference(files.write("secret-id", "s3cret-id\n"))};
        else services.vault.jwt = {"puller", files.write("jwt", "a.b.c\n", 0644).substr(5)};
        VaultBox box(registry, "vault:kv/team/hub#password", services);
        auto refused = box.ask();
        CHECK_MESSAGE(refused.why().find(row.says) != std::string::npos, refused.why());
        for (auto* secret : {"s3cret-id", "a.b.c"}) CHECK(refused.why().find(secret) == std::string::npos);
        CHECK(box.credential->health().at(0).code == row.code);
    }
}

TEST_CASE("vault: a password that is no header is refused wherever it comes from") {
    SecretFiles files;
    BasicRegistry registry;
    FakeVault vault;
    vault.password = R"(correct\r\nX-Evil: 1)";
    VaultBox box(registry, "vault:kv/team/hub#password", vault.services(files));
    CHECK(box.ask().why().find("control characters") != std::string::npos);
    CHECK(registry.server.logins().empty());
}

TEST_CASE("key vault: the machine's identity opens it, versionless references follow rotation") {
    std::string password = "correct-horse";
    ScriptedServer metadata([](const ServedRequest&) {
        auto token = "e30." + base64url(fmt::format(R"({{"exp":{}}})", wall_seconds() + 3600)) + ".c2ln";
        return Served::ok(fmt::format(R"({{"access_token":"{}"}})", token));
    });
    ScriptedServer key_vault([&](const ServedRequest& request) {
        if (!request.header("Authorization").value_or("").starts_with("Bearer e30.")) return Served::status(401);
        if (request.target() == "/secrets/locked?api-version=7.4")
            return Served::status(403, "", R"({"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByRbac"}}})");
        if (request.target() == "/secrets/off?api-version=7.4")
            return Served::status(403, "", R"({"error":{"code":"Forbidden","innererror":{"code":"SecretDisabled"}}})");
        if (request.target() == "/secrets/none?api-version=7.4")
            return Served::status(404, "", R"({"error":{"code":"SecretNotFound","message":"no none"}})");
        return Served::ok(fmt::format(R"({{"value":"{}","id":"x"}})", password));
    });
    BasicRegistry registry{.good = basic_of("lab", "correct-horse")};
    ServiceConfig services;
    services.identity.metadata = metadata.url();
    services.identity.arc_tokens = "/nonexistent/tokens";
    services.identity.key_vault = key_vault.url();
    VaultBox box(registry, "https://corp.vault.azure.net/secrets/hub", services, 100ms);
    CHECK(fetched(box.ask()) == "blob");
    CHECK(metadata.requests().at(0).target().ends_with("&resource=https%3A%2F%2Fvault.azure.net"));
    CHECK(key_vault.requests().at(0).target() == "/secrets/hub?api-version=7.4");
    password = "freshly-rotated";
    registry.good = basic_of("lab", "freshly-rotated");
    box.loop.run_for(150ms);
    CHECK(fetched(box.ask()) == "blob");
    CHECK(metadata.count() == 1);

    const std::pair<const char*, const char*> refusals[] = {
        {"locked", "answered 403 (ForbiddenByRbac): give this machine's identity the right to get secrets"},
        {"off", "answered 403 (SecretDisabled): enable the secret"},
        {"none", "answered 404 (SecretNotFound): there is no such secret"},
    };
    for (auto& [name, says] : refusals) {
        auto reference = fmt::format("https://corp.vault.azure.net/secrets/{}", name);
        box.credential = UpstreamBox::credential_set(name, {{box.files.write("user", "lab"), reference}});
        auto refused = box.ask();
        CHECK_MESSAGE(refused.why().find(says) != std::string::npos, refused.why());
    }
}

TEST_CASE("key vault: where nothing else is said, its host is asked over TLS and may not be private") {
    BasicRegistry registry;
    ScriptedServer metadata([](const ServedRequest&) { return Served::ok(R"({"access_token":"t","expires_in":60})"); });
    ServiceConfig services;
    services.identity.metadata = metadata.url();
    services.identity.arc_tokens = "/nonexistent/tokens";
    VaultBox box(registry, "https://corp.vault.azure.net/secrets/hub", services);
    CHECK(box.ask().failure->error.fault == Fault::policy);  // no name resolves here
    CHECK(registry.server.logins().empty());
}

TEST_CASE("vault: the secondary serves while the primary's vault is away") {
    SecretFiles files;
    BasicRegistry registry{.good = basic_of("two", "battery-staple")};
    ServiceConfig services;
    services.vault.address = fmt::format("http://127.0.0.1:{}", closed_port());
    services.vault.token = *parse_secret_reference(files.write("vault-token", "s.root"));
    VaultBox box(registry, "vault:kv/team/hub#password", services);
    box.credential = UpstreamBox::credential_set("set0", {{files.write("u1", "one"), "vault:kv/team/hub#password"},
                                                          {files.write("u2", "two"), files.write("p2", "battery-staple")}});
    CHECK(fetched(box.ask()) == "blob");
    CHECK(box.credential->health().at(0).code == "Unreachable");
    CHECK(box.credential->health().at(1).status == CredentialHealth::Status::healthy);
}

TEST_CASE("service documents: ends are read where they stand") {
    constexpr std::int64_t wall = 1'700'000'000;
    auto life = [](const std::optional<Grant>& grant) {
        return grant ? std::chrono::duration_cast<seconds>(grant->life).count() : -1;
    };
    auto jwt = [](std::int64_t end) { return "e30." + base64url(fmt::format(R"({{"exp":{}}})", end)) + ".c2ln"; };
    auto access = [&](const std::string& rest) { return life(parse_access_token(R"({"access_token":"t")" + rest + "}", wall)); };
    CHECK(access("") == 300);
    CHECK(access(R"(,"expires_in":3599)") == 3599);
    CHECK(access(R"(,"expires_in":"3599")") == 3599);
    CHECK(access(R"(,"expires_on":"1700000100")") == 100);
    CHECK(access(R"(,"expires_in":"soon")") == 300);
    CHECK(access(R"(,"expires_in":-5)") == 300);
    CHECK(access(R"(,"expires_in":99999999)") == 24 * 60 * 60);
    CHECK(life(parse_access_token(fmt::format(R"({{"access_token":"{}","expires_in":5}})", jwt(wall + 900)), wall)) == 900);
    CHECK(life(parse_access_token(fmt::format(R"({{"access_token":"{}"}})", jwt(wall - 900)), wall)) == 1);
    CHECK(life(parse_registry_token(fmt::format(R"({{"refresh_token":"{}"}})", jwt(wall + 60)), "refresh_token", wall)) == 60);
    CHECK(life(parse_vault_login(R"({"auth":{"client_token":"s.x","lease_duration":120}})")) == 120);
    CHECK(life(parse_vault_login(R"({"auth":{"client_token":"s.x","lease_duration":0}})")) == 24 * 60 * 60);
    for (const char* junk : {"", "[]", "null", "{}", R"({"access_token":5})", R"({"access_token":""})",
                             R"({"access_token":"a b"})", R"({"access_token":"a\r\nX: 1"})"}) {
        CAPTURE(std::string(junk));
        CHECK_FALSE(parse_access_token(junk, wall));
        CHECK_FALSE(parse_registry_token(junk, "access_token", wall));
        CHECK_FALSE(parse_vault_login(junk));
        CHECK_FALSE(parse_vault_secret(junk, "x"));
        CHECK_FALSE(parse_key_vault_secret(junk));
    }
    CHECK(authority_refusal(R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret"})") ==
          "invalid_client, AADSTS7000215");
    CHECK(authority_refusal(R"({"error":"invalid_client","error_description":"s3cret"})") == "invalid_client");
    CHECK(authority_refusal(R"({"error":"s3 cret\n"})") == "");
    CHECK(key_vault_refusal(R"({"error":{"code":"Forbidden","innererror":{"code":"AccessDenied"}}})") == "AccessDenied");
    CHECK(key_vault_refusal(R"({"error":{"code":"SecretNotFound"}})") == "SecretNotFound");
    CHECK(key_vault_refusal(R"({"error":{"code":"s3 cret"}})") == "");
    CHECK(vault_reason(R"({"errors":[5,"Vault is sealed"]})") == " (it is sealed)");
    CHECK(vault_reason(R"({"errors":"Vault is sealed"})") == "");
    CHECK_FALSE(is_deleted_in_vault(R"({"data":{"metadata":{"deletion_time":""}}})"));
    for (const char* junk : {"", "[]", "{}", "<html>", R"({"error":5,"errors":5,"data":5})"}) {
        CHECK(key_vault_refusal(junk) == "");
        CHECK(vault_reason(junk) == "");
        CHECK_FALSE(is_deleted_in_vault(junk));
    }
    CHECK(authority_refusal("<html>") == "");
}
