// Identities of the cloud's directory: how this machine gets its token, and how a registry takes it.

#include "upstream/identities.h"
#include "entrepot/http/jwt.h"
#include "support/certificates.h"
#include "upstream/upstream_box.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

using Plan = UpstreamBox::Plan;
using Status = CredentialHealth::Status;

const std::string client = "11111111-2222-3333-4444-555555555555";

/// A token that says when it ends.
std::string jwt(const std::string& name, std::int64_t life = 3600) {
    return "e30." + base64url(fmt::format(R"({{"sub":"{}","exp":{}}})", name, wall_seconds() + life)) + ".c2ln";
}

Served directory_token(const std::string& name, std::int64_t life = 3600) {
    return Served::ok(fmt::format(R"({{"access_token":"{}","expires_in":"3599","token_type":"Bearer"}})", jwt(name, life)));
}

/// An Azure container registry: exchanges directory tokens, sells access tokens, and wants one for each blob.
struct AzureRegistry {
    int refusals = 0;  ///< of refresh tokens, before it takes one
    int exchange_status = 200;
    std::int64_t access_life = 3600;
    ScriptedServer server{[this](const ServedRequest& request) { return answer(request); }};

    Served answer(const ServedRequest& request) {
        if (request.target() == "/oauth2/exchange") {
            ++exchanges;
            if (exchange_status != 200) return Served::status(exchange_status, "", request.body);
            return Served::ok(fmt::format(R"({{"refresh_token":"{}"}})", jwt(fmt::format("refresh{}", exchanges))));
        }
        if (request.target() == "/oauth2/token") {
            if (refusals > 0 && refusals-- > 0) return Served::status(401);
            return Served::ok(fmt::format(R"({{"access_token":"{}"}})", jwt(request.form("scope").value_or(""), access_life)));
        }
        auto given = request.header("Authorization").value_or("");
        if (given.starts_with("Bearer e30.")) return Served::ok("blob");
        return Served::unauthorized(fmt::format(R"(Bearer realm="{}",service="registry.test")", server.url("/oauth2/token")));
    }
    std::vector<ServedRequest> asked(const std::string& target) const {
        std::vector<ServedRequest> found;
        for (auto& request : server.requests()) {
            if (request.target() == target) found.push_back(request);
        }
        return found;
    }
    int exchanges = 0;
};

struct IdentityBox : UpstreamBox {
    IdentityBox(const AzureRegistry& registry, const std::string& text, ServiceConfig services)
        : UpstreamBox(plan(registry, services)) {
        credential = identity(text);
    }
    static Plan plan(const AzureRegistry& registry, const ServiceConfig& services) {
        Plan plan{.endpoints = {registry.server.url()}};
        plan.options.services = services;
        plan.options.services.identity.registries.push_back("127.0.0.1");
        return plan;
    }
    Exchanged ask_of(const std::string& repository) {
        auto wanted = request();
        wanted.repository = repository;
        return ask(wanted);
    }
};

ServiceConfig with_metadata(const ScriptedServer& metadata) {
    ServiceConfig services;
    services.identity.metadata = metadata.url();
    services.identity.arc_tokens = "/nonexistent/tokens";
    return services;
}

std::string fetched(const Exchanged& exchanged) { return exchanged.failure ? exchanged.why() : exchanged.body; }

std::string content_of(const std::string& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("identity: the machine's token becomes the registry's, and each is asked for once") {
    ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
    AzureRegistry registry;
    IdentityBox box(registry, "system", with_metadata(metadata));
    CHECK(fetched(box.ask_of("lab/one")) == "blob");
    CHECK(fetched(box.ask_of("lab/two")) == "blob");
    CHECK(fetched(box.ask_of("lab/one")) == "blob");

    REQUIRE(metadata.count() == 1);
    auto asked = metadata.requests()[0];
    CHECK(asked.target() ==
          "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcontainerregistry.azure.net");
    CHECK(asked.header("Metadata") == "true");

    auto exchanges = registry.asked("/oauth2/exchange");
    REQUIRE(exchanges.size() == 1);
    CHECK(exchanges[0].method() == "POST");
    CHECK(exchanges[0].header("Content-Type") == "application/x-www-form-urlencoded");
    CHECK(exchanges[0].form("grant_type") == "access_token");
    CHECK(exchanges[0].form("service") == "registry.test");
    auto shown = exchanges[0].form("access_token").value_or("");
    CHECK(shown.find(base64url(R"({"sub":"machine")").substr(0, 16)) != std::string::npos);
    auto tokens = registry.asked("/oauth2/token");
    REQUIRE(tokens.size() == 2);
    CHECK(tokens[0].form("grant_type") == "refresh_token");
    CHECK(tokens[0].form("scope") == "repository:lab/one:pull");
    CHECK(tokens[1].form("scope") == "repository:lab/two:pull");
    CHECK(box.credential->health().at(0).status == Status::healthy);
    for (auto& login : registry.server.logins()) CHECK(login.find(": Bearer e30.") != std::string::npos);
}

TEST_CASE("identity: fifty at once make one request each to the machine and the registry") {
    ScriptedServer metadata([](const ServedRequest&) {
        auto served = directory_token("machine");
        served.first = 50ms;
        return served;
    });
    AzureRegistry registry;
    IdentityBox box(registry, "imds", with_metadata(metadata));
    std::vector<UpstreamRequest> wanted;
    for (int i = 0; i < 50; ++i) wanted.push_back(box.request(fmt::format("blobs/sha256:{:02x}", i)));
    for (auto& each : box.ask_together(std::move(wanted))) CHECK(fetched(each) == "blob");
    CHECK(metadata.count() == 1);
    CHECK(registry.asked("/oauth2/exchange").size() == 1);
    CHECK(registry.asked("/oauth2/token").size() == 1);
}

TEST_CASE("identity: user-assigned ones say which they are") {
    const std::string resource =
        "/subscriptions/" + client + "/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller";
    struct Row {
        std::string text;
        std::string query;
    };
    for (auto& row : {Row{"imds:" + client, "&client_id=" + client}, Row{resource, "&msi_res_id=" + percent_encode(resource)}}) {
        CAPTURE(row.text);
        ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
        AzureRegistry registry;
        IdentityBox box(registry, row.text, with_metadata(metadata));
        CHECK(fetched(box.ask()) == "blob");
        REQUIRE(metadata.count() == 1);
        CHECK(metadata.requests()[0].target().ends_with(row.query));
    }
}

TEST_CASE("identity: a registry that forgot its refresh token gets the directory's once more") {
    ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
    AzureRegistry registry{.refusals = 1};
    IdentityBox box(registry, "imds", with_metadata(metadata));
    CHECK(fetched(box.ask()) == "blob");
    CHECK(registry.asked("/oauth2/exchange").size() == 2);
    CHECK(metadata.count() == 1);
}

TEST_CASE("identity: what goes wrong is told by its place, and no token is") {
    ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
    AzureRegistry registry{.exchange_status = 403};
    {
        IdentityBox box(registry, "imds", with_metadata(metadata));
        auto refused = box.ask();
        CHECK(refused.code() == Code::denied);
        CHECK(refused.why() ==
              "identity imds: " + registry.server.url() + " answered 403; does it have the role to read this repository there?");
        CHECK(box.credential->health().at(0).code == "Denied");
    }

    metadata.script([](const ServedRequest& request) {
        return Served::status(
            400, "", R"({"error":"invalid_request","error_description":"Identity not found )" + request.target() + "\"}");
    });
    {
        IdentityBox box(registry, "imds:" + client, with_metadata(metadata));
        auto refused = box.ask();
        CHECK(refused.code() == Code::unauthorized);
        CHECK(refused.failure->error.fault == Fault::policy);
        CHECK(refused.why() == fmt::format("identity imds:{}: {} answered 400 (invalid_request)", client, metadata.url()));
    }
    ServiceConfig nowhere;
    nowhere.identity.metadata = fmt::format("http://127.0.0.1:{}", closed_port());
    IdentityBox box(registry, "imds", nowhere);
    auto refused = box.ask();
    CHECK(refused.code() == Code::refused);
    CHECK(refused.failure->error.fault == Fault::policy);  // the registry is not to blame
    CHECK(box.credential->health().at(0).code == "Unreachable");
}

TEST_CASE("identity: Azure Arc wants to see what only its friends can read") {
    SecretFiles tokens;
    auto key_path = tokens.write("challenge.key", "only-for-friends", 0640).substr(5);
    ScriptedServer arc([&](const ServedRequest& request) {
        if (request.header("Authorization") == "Basic only-for-friends") return directory_token("machine");
        return Served::unauthorized("Basic realm=" + key_path);
    });
    ScriptedServer metadata;
    auto services = with_metadata(metadata);
    services.identity.arc = arc.url();
    services.identity.arc_tokens = tokens.directory();
    for (auto* text : {"arc", "system"}) {
        CAPTURE(std::string(text));
        AzureRegistry registry;
        IdentityBox box(registry, text, services);
        CHECK(fetched(box.ask()) == "blob");
        CHECK(arc.requests().back().target().find("?api-version=2020-06-01&resource=") != std::string::npos);
        CHECK(arc.requests().back().header("Metadata") == "true");
    }
    CHECK(metadata.count() == 0);
}

TEST_CASE("identity: whatever answers at Azure Arc's port sees no other file") {
    SecretFiles tokens, others;
    auto outside = others.write("secret.key", "hands-off").substr(5);
    tokens.write("notes.txt", "hands-off");
    tokens.write("big.key", std::string(5000, 'k'));
    tokens.write("lines.key", "hands-off\nX: 1");
    for (auto& path : {outside, tokens.directory() + "/notes.txt", tokens.directory() + "/../x/secret.key",
                       tokens.directory() + "/big.key", tokens.directory() + "/lines.key", tokens.directory() + "/absent.key",
                       tokens.directory() + "x/a.key", std::string("/etc/shadow"), std::string()}) {
        CAPTURE(path);
        ScriptedServer arc([&](const ServedRequest&) { return Served::unauthorized("Basic realm=\"" + path + "\""); });
        ServiceConfig services;
        services.identity.arc = arc.url();
        services.identity.arc_tokens = tokens.directory();
        AzureRegistry registry;
        IdentityBox box(registry, "arc", services);
        auto refused = box.ask();
        CHECK(refused.code() == Code::unauthorized);
        CHECK(refused.why().find("hands-off") == std::string::npos);
        CHECK(arc.logins().empty());
    }
    CHECK(is_challenge_path("/t/a.key", "/t"));
    for (auto* path : {"/t/.key", "/t/a.keys", "/t//a.key", "/t/b/a.key", "/ta.key", "/t/../a.key", "t/a.key", ""})
        CHECK_FALSE(is_challenge_path(path, "/t"));
}

TEST_CASE("identity: a federated token is handed to the directory as it is, and read anew for each") {
    SecretFiles files;
    auto path = files.write("token", "first.federated.token\n", 0644).substr(5);
    ScriptedServer authority([](const ServedRequest&) { return directory_token("app", 1); });
    ServiceConfig services;
    services.identity.authority = authority.url();
    AzureRegistry registry;
    {
        IdentityBox box(registry, fmt::format("federated:{}@corp.example:{}", client, path), services);
        CHECK(fetched(box.ask()) == "blob");
    }
    REQUIRE(authority.count() == 1);
    auto asked = authority.requests()[0];
    CHECK(asked.method() == "POST");
    CHECK(asked.target() == "/corp.example/oauth2/v2.0/token");
    CHECK(asked.form("grant_type") == "client_credentials");
    CHECK(asked.form("client_id") == client);
    CHECK(asked.form("scope") == "https://containerregistry.azure.net/.default");
    CHECK(asked.form("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    CHECK(asked.form("client_assertion") == "first.federated.token");
    CHECK(registry.asked("/oauth2/exchange").at(0).form("tenant") == "corp.example");

    files.write("token", "", 0644);
    authority.script([](const ServedRequest& request) {
        return Served::status(
            401, "",
            fmt::format(R"({{"error":"invalid_client","error_description":"AADSTS700024: assertion {} is old"}})",
                        request.form("client_assertion").value_or("")));
    });
    IdentityBox empty(registry, fmt::format("federated:{}@corp.example:{}", client, path), services);
    CHECK(empty.ask().why().find("is empty") != std::string::npos);
    files.write("token", "second.federated.token", 0644);
    auto refused = empty.ask();
    CHECK(refused.why().find("answered 401 (invalid_client, AADSTS700024)") != std::string::npos);
    CHECK(refused.why().find("second.federated.token") == std::string::npos);
}

TEST_CASE("identity: a certificate signs what the directory is told") {
    TestAuthority authority_of_tests;
    auto issued = authority_of_tests.issue({.common_name = "puller", .rsa_bits = 2048});
    SecretFiles files;
    auto pem = content_of(issued.certificate) + content_of(issued.key);
    auto path = files.write("puller.pem", pem).substr(5);
    ScriptedServer authority([](const ServedRequest&) { return directory_token("app"); });
    ServiceConfig services;
    services.identity.authority = authority.url();
    AzureRegistry registry;
    {
        IdentityBox box(registry, fmt::format("certificate:{}@{}:{}", client, client, path), services);
        CHECK(fetched(box.ask()) == "blob");
    }
    REQUIRE(authority.count() == 1);
    auto assertion = authority.requests()[0].form("client_assertion").value_or("");
    auto dot = assertion.find('.'), end = assertion.rfind('.');
    auto header = nlohmann::json::parse(base64url_decode(assertion.substr(0, dot)).value_or(""));
    auto claims = nlohmann::json::parse(base64url_decode(assertion.substr(dot + 1, end - dot - 1)).value_or(""));
    CHECK(header["alg"] == "RS256");
    CHECK(header["x5t"].get<std::string>().size() == 27);
    CHECK(claims["iss"] == client);
    CHECK(claims["sub"] == client);
    CHECK(claims["aud"] == fmt::format("{}/{}/oauth2/v2.0/token", authority.url(), client));
    CHECK(claims["exp"].get<std::int64_t>() - claims["nbf"].get<std::int64_t>() == 600);
    CHECK(base64url_decode(assertion.substr(end + 1)).value_or("").size() == 256);

    files.write("puller.pem", pem, 0644);
    IdentityBox open(registry, fmt::format("certificate:{}@{}:{}", client, client, path), services);
    CHECK(open.ask().why().find("chmod 600") != std::string::npos);
    CHECK(authority.count() == 1);
}

TEST_CASE("identity: a token is renewed before its end, and the old one serves while that fails") {
    int number = 0;
    bool is_down = false;
    ScriptedServer metadata([&](const ServedRequest&) {
        return is_down ? Served::status(500) : directory_token(fmt::format("machine{}", ++number), 5);
    });
    AzureRegistry registry;
    Plan plan = IdentityBox::plan(registry, with_metadata(metadata));
    UpstreamBox box(plan);
    UpstreamTableOfProcess& table = static_cast<UpstreamTableOfProcess&>(*box.table);
    ConnectionPool pool(table);
    {
        Documents documents(pool);
        Services services(table, documents);
        Identities identities(services);
        auto token = [&] {
            auto asking = identities.token(*parse_identity_reference("imds"), "https://vault.azure.net");
            auto answer = box.loop.run(std::move(asking));
            return answer ? answer->header : answer.error().why;
        };
        auto first = token();
        CHECK(first.starts_with("e30."));
        CHECK(token() == first);
        CHECK(metadata.count() == 1);
        box.loop.run_for(4100ms);
        is_down = true;
        CHECK(token() == first);
        CHECK(metadata.count() == 2);
        is_down = false;
        CHECK(token() != first);
    }
    box.loop.run(pool.close());
}

TEST_CASE("identity: a registry that is not Azure's sees no token, whatever a rule says") {
    ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
    AzureRegistry registry;
    Plan plan{.endpoints = {registry.server.url()}};
    plan.options.services = with_metadata(metadata);
    UpstreamBox box(plan);
    box.credential = UpstreamBox::identity("imds");
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why().find("127.0.0.1 is no registry of Azure") != std::string::npos);
    CHECK(metadata.count() == 0);
    CHECK(registry.asked("/oauth2/exchange").empty());
    IdentityConfig config;
    CHECK(may_see_identity(config, "corp.azurecr.io"));
    CHECK(may_see_identity(config, "corp.azurecr.us"));
    for (auto* host :
         {"azurecr.io", ".azurecr.io", "azurecr.io.evil.test", "evilazurecr.io", "corp.azurecr.io.", "docker.io", ""})
        CHECK_FALSE(may_see_identity(config, host));
}

TEST_CASE("identity: is only for its own login server, and never sent where Basic is asked for") {
    ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
    AzureRegistry registry;
    registry.server.script([](const ServedRequest&) { return Served::unauthorized(R"(Basic realm="lab")"); });
    IdentityBox box(registry, "imds", with_metadata(metadata));
    CHECK(box.ask().code() == Code::unauthorized);
    CHECK(registry.server.logins().empty());
    CHECK(metadata.count() == 0);
    auto healths = box.check();
    REQUIRE(healths.size() == 1);
    CHECK(healths[0].status == Status::unhealthy);
    CHECK(healths[0].message.find("takes no identities") != std::string::npos);
}

TEST_CASE("check: an identity is as healthy as what the registry gives for it") {
    ScriptedServer metadata([](const ServedRequest&) { return directory_token("machine"); });
    AzureRegistry registry;
    IdentityBox box(registry, "imds", with_metadata(metadata));
    CHECK(box.check().at(0).status == Status::healthy);
    CHECK(registry.asked("/oauth2/exchange").size() == 1);
}
