// Logins: how challenges are answered, and that no secret leaves towards an origin that it does not belong to.

#include "upstream/kept_authorization.h"
#include "upstream/upstream_box.h"

#include <doctest/doctest.h>

#include <thread>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

const std::string basic = "Basic bGFiOmNvcnJlY3QtaG9yc2U=";  // lab:correct-horse
using Plan = UpstreamBox::Plan;

/// A token server: each token is "t<number>", and `life` its expires_in.
Served grant(const ServedRequest& request, int life = 300) {
    return Served::ok(fmt::format(R"({{"token":"t{}","expires_in":{}}})", request.number, life));
}

/// A registry that takes the tokens that `good` says.
ScriptedServer::Script guarded(std::string challenge, std::function<bool(const std::string&)> good) {
    return [challenge = std::move(challenge), good = std::move(good)](const ServedRequest& request) {
        auto given = request.header("Authorization");
        return given && good(*given) ? Served::ok("blob") : Served::unauthorized(challenge);
    };
}

std::string bearer(const std::string& realm) { return fmt::format(R"(Bearer realm="{}",service="registry.test")", realm); }
bool any_token(const std::string& value) { return value.starts_with("Bearer t"); }

}  // namespace

TEST_CASE("credentials: an anonymous token answers a Bearer challenge and is remembered") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "blob");
    CHECK(box.ask().body == "blob");
    REQUIRE(tokens.count() == 1);
    CHECK(tokens.requests()[0].target() == "/token?service=registry.test&scope=repository%3Alab%2Fapp%3Apull");
    CHECK(tokens.logins().empty());
    CHECK(registry.count() == 3);  // 401, 200, and 200 at once
}

TEST_CASE("credentials: a listed realm gets the login, the registry only the token") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true});
    CHECK(box.ask().body == "blob");
    REQUIRE(tokens.count() == 1);
    CHECK(tokens.requests()[0].header("Authorization") == basic);
    CHECK(registry.logins() == std::vector<std::string>{"/v2/lab/app/blobs/sha256:00: Bearer t0"});
}

TEST_CASE("credentials: a hundred at once share one token request") {
    ScriptedServer tokens([](const ServedRequest& request) {
        auto served = grant(request);
        served.first = 100ms;
        return served;
    });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    std::vector<UpstreamRequest> wanted;
    for (int i = 0; i < 100; ++i) wanted.push_back(box.request(fmt::format("blobs/sha256:{:02x}", i)));
    for (auto& each : box.ask_together(std::move(wanted))) CHECK(each.body == "blob");
    CHECK(tokens.count() == 1);
}

TEST_CASE("credentials: shards share their tokens") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true});
    CHECK(box.ask().body == "blob");
    std::atomic<bool> ended{false};
    std::string body;
    std::thread other([&] {
        TestLoop loop;
        auto upstreams = Upstreams::make(*box.table);
        auto asking = upstreams->ask(box.request());
        auto answer = loop.run(std::move(asking));
        if (answer) {
            auto exchange = *std::move(answer);
            std::vector<std::byte> piece(100);
            auto got = loop.run(exchange->read(piece));
            body = text_of(Bytes(piece).first(got ? *got : 0));
            loop.run(exchange->finish());
        }
        loop.run(upstreams->close());
        upstreams.reset();
        ended = true;
    });
    box.loop.run_until([&] { return ended.load(); });
    other.join();
    CHECK(body == "blob");
    CHECK(tokens.count() == 1);
}

TEST_CASE("credentials: each repository gets a token of its own scope") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (const char* repository : {"lab/one", "lab/two", "lab/one"}) {
        auto request = box.request();
        request.repository = repository;
        CHECK(box.ask(request).body == "blob");
    }
    REQUIRE(tokens.count() == 2);
    CHECK(tokens.requests()[0].target().ends_with("scope=repository%3Alab%2Fone%3Apull"));
    CHECK(tokens.requests()[1].target().ends_with("scope=repository%3Alab%2Ftwo%3Apull"));
}

TEST_CASE("credentials: one scope for all repositories is one token") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(
        guarded(fmt::format(R"(Bearer realm="{}",service="public.ecr.aws",scope="aws")", tokens.url("/token/")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (const char* repository : {"lab/one", "lab/two"}) {
        auto request = box.request();
        request.repository = repository;
        CHECK(box.ask(request).body == "blob");
    }
    REQUIRE(tokens.count() == 1);
    CHECK(tokens.requests()[0].target() == "/token/?service=public.ecr.aws&scope=aws");
}

TEST_CASE("credentials: a token that is refused is renewed once, and again refused it is told") {
    std::string taken = "Bearer t0";
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), [&](const std::string& value) { return value == taken; }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().good());
    registry.script(guarded(bearer(tokens.url("/token")), [](const std::string& value) { return value == "Bearer t1"; }));
    CHECK(box.ask().good());
    CHECK(tokens.count() == 2);

    registry.script(guarded(bearer(tokens.url("/token")), [](const std::string&) { return false; }));
    auto requests_before = registry.count();
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why().find("refuses the token") != std::string::npos);
    CHECK(tokens.count() == 3);
    CHECK(registry.count() - requests_before == 2);
}

TEST_CASE("credentials: a token is not used beyond nine tenths of its life") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request, 1); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().good());
    CHECK(box.ask().good());
    CHECK(tokens.count() == 1);
    box.loop.run_for(950ms);
    CHECK(box.ask().good());
    CHECK(tokens.count() == 2);
}

TEST_CASE("credentials: a challenge that wants a wider scope gets a second token") {
    ScriptedServer tokens([](const ServedRequest& request) {
        return Served::ok(request.target().find("push") == std::string::npos ? R"({"token":"narrow"})" : R"({"token":"wide"})");
    });
    ScriptedServer registry([&](const ServedRequest& request) {
        auto given = request.header("Authorization");
        if (given == "Bearer wide") return Served::ok("blob");
        if (!given) return Served::unauthorized(bearer(tokens.url("/token")));
        return Served::unauthorized(bearer(tokens.url("/token")) +
                                    R"(,scope="repository:lab/app:pull,push",error="insufficient_scope")");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "blob");
    CHECK(tokens.count() == 2);
}

TEST_CASE("credentials: a 401 without a challenge leads to the one on /v2/") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry([&](const ServedRequest& request) {
        if (request.header("Authorization")) return Served::ok("blob");
        bool is_root = request.target() == "/v2/";
        return Served::unauthorized(is_root ? bearer(tokens.url("/token")) + R"(,scope="repository:user/image:pull")" : "");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "blob");
    REQUIRE(tokens.count() == 1);
    CHECK(tokens.requests()[0].target().ends_with("scope=repository%3Alab%2Fapp%3Apull"));

    registry.script([](const ServedRequest&) { return Served::unauthorized(""); });
    auto refused = box.ask("blobs/sha256:01");
    CHECK(refused.code() == Code::unauthorized);
}

TEST_CASE("credentials: Basic is sent when it is asked for, and not before") {
    ScriptedServer registry(guarded(R"(Basic realm="lab")", [](const std::string& value) { return value == basic; }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
    CHECK(box.ask().body == "blob");
    CHECK(box.ask().body == "blob");
    REQUIRE(registry.count() == 3);
    CHECK(!registry.requests()[0].header("Authorization"));
    CHECK(registry.requests()[2].header("Authorization") == basic);
}

TEST_CASE("credentials: an upstream that wants a login and a rule that has none is 401 and says so") {
    ScriptedServer registry(guarded(R"(Basic realm="lab")", [](const std::string&) { return false; }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.failure->error.detail == 401);
    CHECK(registry.count() == 1);
    CHECK(registry.logins().empty());
}

TEST_CASE("credentials: a wrong password is tried once, and a new one is seen at the very next 401") {
    ScriptedServer registry(guarded(R"(Basic realm="lab")", [](const std::string& value) { return value == basic; }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true, .password = "wrong"});
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why().find("set0") != std::string::npos);
    CHECK(refused.why().find("wrong") == std::string::npos);
    CHECK(registry.count() == 2);
    // The secret is remembered for 30 s, but not once it was refused.
    box.files.write("password", "correct-horse\n");
    CHECK(box.ask().body == "blob");
    box.files.write("password", "rotated\n");
    CHECK(box.ask().body == "blob");  // what upstream takes is used on
    registry.script(guarded(R"(Basic realm="lab")", [](const std::string& value) { return value == "Basic bGFiOnJvdGF0ZWQ="; }));
    CHECK(box.ask().body == "blob");
}

TEST_CASE("credentials: a secret is read again after its life") {
    ScriptedServer registry(guarded(R"(Basic realm="lab")", [](const std::string&) { return true; }));
    Plan plan{.endpoints = {registry.url()}, .with_credential = true};
    plan.options.secret_life = 100ms;
    UpstreamBox box(std::move(plan));
    CHECK(box.ask().good());
    box.files.write("password", "rotated\n");
    box.loop.run_for(150ms);
    CHECK(box.ask().good());
    CHECK(registry.requests().back().header("Authorization") == "Basic bGFiOnJvdGF0ZWQ=");
}

TEST_CASE("credentials: a realm that refuses the login gets the new one if there is one") {
    ScriptedServer tokens([](const ServedRequest& request) {
        return request.header("Authorization") == basic ? grant(request) : Served::unauthorized("Basic");
    });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true, .password = "wrong"});
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why().find("set0") != std::string::npos);
    CHECK(tokens.count() == 1);
    box.files.write("password", "correct-horse\n");
    CHECK(box.ask().body == "blob");
}

TEST_CASE("credentials: a secret that cannot be read sends nothing, and its place is told") {
    ScriptedServer registry(guarded(R"(Basic realm="lab")", [](const std::string&) { return true; }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
    box.files.write("password", "correct-horse", 0644);
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.failure->error.fault == Fault::policy);
    CHECK(refused.why().find("chmod 600") != std::string::npos);
    CHECK(refused.why().find("correct-horse") == std::string::npos);
    CHECK(registry.logins().empty());
}

TEST_CASE("credentials: a credential set is for its own login server only") {
    ScriptedServer registry;
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CredentialSpec foreign;
    foreign.name = "foreign";
    foreign.login_server = "elsewhere.test";
    auto request = box.request();
    request.credential = Credential::make(foreign);
    auto refused = box.ask(request);
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why() == "credential set 'foreign' belongs to elsewhere.test, not to registry.test");
    CHECK(registry.count() == 0);
}

TEST_CASE("credentials: no realm outside of the list sees a login, however it is written") {
    ScriptedServer trap;
    auto port = trap.port();
    const std::string realms[] = {
        fmt::format("http://127.0.0.1:{}/token", port),              // another port
        fmt::format("http://localhost:{}/token", port),              // a name for it
        fmt::format("http://127.0.0.2:{}/token", port),              // another address
        fmt::format("https://127.0.0.1:{}/token", port),             // another scheme
        fmt::format("http://good@127.0.0.1:{}/token", port),         // user information
        fmt::format("http://[::ffff:127.0.0.1]:{}/token", port),     // the same in IPv6
        fmt::format("http://localhost.:{}/token", port),             // a trailing dot
        fmt::format("http://registry.test.localhost:{}/t", port),    // the right name in front
        fmt::format("http://xn--rgistry-bya.localhost:{}/t", port),  // a look-alike
        "http://169.254.169.254/latest/meta-data/",                  // link-local
        "/token",                                                    // relative
        "",                                                          // missing
        "javascript:alert(1)",
    };
    for (auto& realm : realms) {
        CAPTURE(std::string(realm));
        ScriptedServer registry(guarded(bearer(realm), [](const std::string&) { return false; }));
        Plan plan{.endpoints = {registry.url()}, .with_credential = true};
        plan.options.connect_timeout = 500ms;
        UpstreamBox box(std::move(plan));
        auto refused = box.ask();
        CHECK(refused.code() == Code::unauthorized);
        CHECK(refused.failure->error.fault == Fault::policy);
        CHECK(registry.logins().empty());
    }
    CHECK(trap.count() == 0);
}

TEST_CASE("credentials: a token server that answers nonsense ends the pull and nothing else") {
    struct Row {
        const char* name;
        Served answer;
        Code code;
    };
    auto closing = Served();
    closing.then = Served::Then::close;
    auto dripping = Served::ok(std::string(1000, ' '));
    dripping.drip = 5ms;
    const Row rows[] = {
        {"no JSON", Served::ok("<html>"), Code::bad_message},
        {"no token", Served::ok("{}"), Code::bad_message},
        {"a header in it", Served::ok(R"({"token":"a\r\nX-Evil: 1"})"), Code::bad_message},
        {"64 KiB", Served::ok(R"({"token":"t","x":")" + std::string(64 * 1024 - 20, 'x') + "\"}"), Code::stopping},
        {"64 KiB and 1", Served::ok(R"({"token":"t","x":")" + std::string(64 * 1024 - 19, 'x') + "\"}"), Code::too_large},
        {"403", Served::status(403), Code::denied},
        {"404", Served::status(404), Code::bad_status},
        {"500", Served::status(500), Code::bad_status},
        {"a redirect", Served::redirect(307, "/again"), Code::bad_status},
        {"closes", closing, Code::closed},
        {"a byte at a time", dripping, Code::timeout}};
    for (auto& row : rows) {
        CAPTURE(std::string(row.name));
        ScriptedServer tokens([&](const ServedRequest&) { return row.answer; });
        ScriptedServer registry([&](const ServedRequest& request) {
            return request.header("Authorization") ? Served::ok("blob") : Served::unauthorized(bearer(tokens.url("/token")));
        });
        Plan plan{.endpoints = {registry.url()}};
        plan.options.first_byte_timeout = 300ms;
        UpstreamBox box(std::move(plan));
        auto answer = box.ask();
        CHECK(answer.good() == (row.code == Code::stopping));
        CHECK(answer.code() == row.code);
        for (auto& request : registry.requests()) CHECK(!request.header("X-Evil"));
    }
}

TEST_CASE("credentials: a 429 of the token server holds back the credential that it was about") {
    ScriptedServer tokens([](const ServedRequest&) { return Served::status(429, "Retry-After: 3600\r\n"); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true});
    CHECK(box.ask().code() == Code::too_many_requests);
    CHECK(box.ask().code() == Code::too_many_requests);
    CHECK(tokens.count() == 1);
    auto anonymous = box.request();
    anonymous.credential = nullptr;
    box.ask(anonymous);
    CHECK(tokens.count() == 2);
}

TEST_CASE("credentials: no failure shows a secret") {
    const std::string secrets[] = {"correct-horse", "bGFiOmNvcnJlY3QtaG9yc2U=", "s3cret-token"};
    ScriptedServer tokens([](const ServedRequest&) { return Served::ok(R"({"token":"s3cret-token"})"); });
    const Served answers[] = {
        Served::status(500, "", "correct-horse s3cret-token"), Served::status(403, "", "Basic bGFiOmNvcnJlY3QtaG9yc2U="),
        Served::redirect(307, "http://127.0.0.1:1/x?sig=s3cret-token"), Served::unauthorized(R"(Basic realm="correct-horse")")};
    for (auto& answer : answers) {
        ScriptedServer registry([&](const ServedRequest& request) {
            return request.header("Authorization") ? answer : Served::unauthorized(bearer(tokens.url("/token")));
        });
        UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true});
        auto failed = box.ask();
        REQUIRE(failed.failure);
        for (auto& secret : secrets) CHECK(failed.why().find(secret) == std::string::npos);
    }
}

TEST_CASE("credentials: a replaced set starts anew, and what is on its way keeps the old one") {
    ScriptedServer tokens([](const ServedRequest& request) { return grant(request); });
    ScriptedServer registry(guarded(bearer(tokens.url("/token")), any_token));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true});
    CHECK(box.ask().body == "blob");
    auto old = box.request();
    std::weak_ptr<const Credential> watched = box.credential;
    box.credential = box.credential_set("set0", "lab", "battery-staple");
    CHECK(box.ask().body == "blob");
    REQUIRE(tokens.count() == 2);  // the same name, not the same rights
    CHECK(tokens.requests()[0].header("Authorization") == basic);
    CHECK(tokens.requests()[1].header("Authorization") == "Basic bGFiOmJhdHRlcnktc3RhcGxl");
    CHECK(box.ask(std::exchange(old, UpstreamRequest())).body == "blob");
    CHECK(tokens.count() == 2);
    CHECK(watched.expired());
}

TEST_CASE("credentials: what is kept goes with its credential, and is bounded") {
    KeptAuthorizations<std::uint64_t> kept(3);
    auto one = Credential::make({.name = "one"}), two = Credential::make({.name = "two"});
    Authorization authorization;
    authorization.header = "Basic eA==";
    authorization.until = Instant{1000};
    kept.keep(one->id(), authorization, one);
    kept.keep(two->id(), authorization, two);
    kept.keep(0, authorization, nullptr);
    CHECK(kept.find(one->id(), Instant{999}));
    auto id = one->id();
    one.reset();
    CHECK_FALSE(kept.find(id, Instant{999}));
    CHECK(kept.size() == 2);
    CHECK(kept.find(0, Instant{999}));
    CHECK_FALSE(kept.find(0, Instant{1000}));
    CHECK(kept.size() == 1);
    for (std::uint64_t key = 100; key < 103; ++key) kept.keep(key, authorization, nullptr);
    CHECK(kept.size() == 1);  // the bound was reached, and all were forgotten
    CHECK(kept.find(102, Instant{999}));
}

TEST_CASE("credentials: a login server that came while requests run is asked like any other") {
    ScriptedServer registry([](const ServedRequest&) { return Served::ok("blob"); });
    ScriptedServer later([](const ServedRequest&) { return Served::ok("later"); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "blob");
    UpstreamSpec spec;
    spec.login_server = "later.test";
    spec.endpoints = {later.url()};
    spec.allow_private = true;
    auto added = box.table->add(spec);
    REQUIRE(added);
    auto request = box.request();
    request.upstream = *added;
    CHECK(box.ask(request).body == "later");
    CHECK(box.ask().body == "blob");
}
