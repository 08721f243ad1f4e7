// Two logins of one credential set: when the one that is in use fails, the other one is tried at once, and remembered for a while.

#include "upstream/login_record.h"
#include "upstream/upstream_box.h"

#include <doctest/doctest.h>

#include <set>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

const std::string first_basic = "Basic b25lOmNvcnJlY3QtaG9yc2U=";        // one:correct-horse
const std::string second_basic = "Basic dHdvOmJhdHRlcnktc3RhcGxl";       // two:battery-staple
const std::string renewed_basic = "Basic b25lOmZyZXNobHktcm90YXRlZA==";  // one:freshly-rotated
using Plan = UpstreamBox::Plan;
using Status = CredentialHealth::Status;

/// A token server that takes the logins in `good` and answers `refusal` to others.
struct TokenServer {
    std::set<std::string> good;
    int refusal = 401;
    ScriptedServer server{[this](const ServedRequest& request) {
        bool taken = good.contains(request.header("Authorization").value_or(""));
        return taken ? Served::ok(fmt::format(R"({{"token":"t{}","expires_in":300}})", request.number)) : Served::status(refusal);
    }};
    std::vector<std::string> seen() const {
        std::vector<std::string> logins;
        for (auto& request : server.requests()) logins.push_back(request.header("Authorization").value_or(""));
        return logins;
    }
};

ScriptedServer::Script behind(const ScriptedServer& tokens) {
    return [challenge =
                fmt::format(R"(Bearer realm="{}",service="registry.test")", tokens.url("/token"))](const ServedRequest& request) {
        auto given = request.header("Authorization");
        return given && given->starts_with("Bearer t") ? Served::ok("blob") : Served::unauthorized(challenge);
    };
}

struct PairBox : UpstreamBox {
    explicit PairBox(Plan plan) : UpstreamBox(std::move(plan)) {
        credential = credential_set("set0", {{files.write("u1", "one"), files.write("p1", "correct-horse")},
                                             {files.write("u2", "two"), files.write("p2", "battery-staple")}});
    }
    Exchanged ask_of(const std::string& repository) {
        auto wanted = request();
        wanted.repository = repository;
        return ask(wanted);
    }
    CredentialHealth health(std::size_t login) const { return credential->health().at(login); }
};

std::string fetched(const Exchanged& exchanged) { return exchanged.failure ? exchanged.why() : exchanged.body; }

}  // namespace

TEST_CASE("failover: a refused primary hands over to the secondary within the same request, and for the next ones") {
    for (int refusal : {401, 403}) {
        CAPTURE(refusal);
        TokenServer tokens{.good = {second_basic}, .refusal = refusal};
        ScriptedServer registry(behind(tokens.server));
        PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
        CHECK(box.health(0).status == Status::unknown);
        CHECK(fetched(box.ask_of("lab/one")) == "blob");
        CHECK(fetched(box.ask_of("lab/two")) == "blob");
        CHECK(tokens.seen() == std::vector<std::string>{first_basic, second_basic, second_basic});
        CHECK(box.health(0).status == Status::unhealthy);
        CHECK(box.health(0).code == (refusal == 401 ? "Unauthorized" : "Denied"));
        CHECK(box.health(0).checked > 0);
        CHECK(box.health(1).status == Status::healthy);
        CHECK(box.health(1).message.empty());
    }
}

TEST_CASE("failover: a primary whose secret cannot be read sends nothing, and the secondary does") {
    TokenServer tokens{.good = {second_basic}};
    ScriptedServer registry(behind(tokens.server));
    PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
    box.files.write("p1", "correct-horse", 0644);
    CHECK(fetched(box.ask()) == "blob");
    CHECK(tokens.seen() == std::vector<std::string>{second_basic});
    CHECK(box.health(0).code == "SecretUnreadable");
    CHECK(box.health(0).message.find("chmod 600") != std::string::npos);
}

TEST_CASE("failover: when both fail, both reasons are told and no secret") {
    TokenServer tokens;
    ScriptedServer registry(behind(tokens.server));
    PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
    box.files.write("p2", "");
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why().find("both logins of credential set 'set0' fail; primary: ") == 0);
    CHECK(refused.why().find("; secondary: credential set 'set0': the secret file:") != std::string::npos);
    for (auto* secret : {"correct-horse", "battery-staple", "b25lOmNvcnJlY3QtaG9yc2U", "dHdvOmJhdHRlcnktc3RhcGxl"})
        CHECK(refused.why().find(secret) == std::string::npos);
    CHECK(box.health(0).status == Status::unhealthy);
    CHECK(box.health(1).status == Status::unhealthy);
    CHECK(box.ask().code() == Code::unauthorized);  // both are tried again all the same
}

TEST_CASE("failover: a rotated primary is read again before the secondary is tried") {
    TokenServer tokens{.good = {first_basic}};
    ScriptedServer registry(behind(tokens.server));
    PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
    CHECK(fetched(box.ask_of("lab/one")) == "blob");
    tokens.good = {renewed_basic};
    box.files.write("p1", "freshly-rotated\n");
    CHECK(fetched(box.ask_of("lab/two")) == "blob");
    CHECK(tokens.seen() == std::vector<std::string>{first_basic, first_basic, renewed_basic});
    CHECK(box.health(0).status == Status::healthy);
    CHECK(box.health(1).status == Status::unknown);
}

TEST_CASE("failover: a token server in trouble says nothing about a login") {
    TokenServer tokens{.good = {}, .refusal = 503};
    ScriptedServer registry(behind(tokens.server));
    PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
    CHECK(box.ask().code() == Code::bad_status);
    for (auto& login : tokens.seen()) CHECK(login == first_basic);
    CHECK(box.health(0).status == Status::unknown);
}

TEST_CASE("failover: at a registry that asks for Basic") {
    for (int refusal : {401, 403}) {
        CAPTURE(refusal);
        ScriptedServer registry([&](const ServedRequest& request) {
            auto given = request.header("Authorization").value_or("");
            if (given == second_basic) return Served::ok("blob");
            return given.empty() || refusal == 401 ? Served::unauthorized(R"(Basic realm="lab")") : Served::status(403);
        });
        PairBox box(Plan{.endpoints = {registry.url()}});
        CHECK(fetched(box.ask_of("lab/one")) == "blob");
        CHECK(box.health(0).status == Status::unhealthy);
        CHECK(box.health(1).status == Status::healthy);
        auto before = registry.count();
        CHECK(fetched(box.ask_of("lab/one")) == "blob");  // remembered for the repository
        CHECK(registry.count() == before + 1);
        CHECK(fetched(box.ask_of("lab/two")) == "blob");  // and as the better login
        CHECK(registry.count() == before + 3);
    }
}

TEST_CASE("failover: a 403 to both logins is about the repository, not about them") {
    ScriptedServer registry([&](const ServedRequest& request) {
        if (!request.header("Authorization")) return Served::unauthorized(R"(Basic realm="lab")");
        return request.target().find("secret/") == std::string::npos ? Served::ok("blob") : Served::status(403);
    });
    PairBox box(Plan{.endpoints = {registry.url()}});
    CHECK(fetched(box.ask_of("lab/one")) == "blob");
    CHECK(box.ask_of("secret/app").code() == Code::denied);
    CHECK(box.health(0).status == Status::healthy);
    CHECK(box.health(1).status == Status::unknown);
    CHECK(fetched(box.ask_of("lab/two")) == "blob");
    CHECK(registry.logins().back().find(first_basic) != std::string::npos);
}

TEST_CASE("failover: both refused at a registry that asks for Basic") {
    ScriptedServer registry([](const ServedRequest&) { return Served::unauthorized(R"(Basic realm="lab")"); });
    PairBox box(Plan{.endpoints = {registry.url()}});
    auto refused = box.ask();
    CHECK(refused.code() == Code::unauthorized);
    CHECK(refused.why() ==
          "both logins of credential set 'set0' fail; primary: the login of credential set 'set0' was refused; "
          "secondary: the login of credential set 'set0' was refused");
    CHECK(registry.count() == 3);
}

TEST_CASE("login record: the primary is tried again after a minute, or sooner when the secondary fails too") {
    LoginRecord record(2);
    auto refused = make_failure(Fault::upstream, Code::unauthorized, "no", 401);
    Instant time{1'000'000'000'000};
    CHECK(record.first(time) == 0);
    record.note_bad(0, refused, time);
    CHECK(record.first(time) == 1);
    CHECK(record.first(time + 59s) == 1);
    CHECK(record.first(time + 60s) == 0);
    record.note_bad(1, refused, time + 10s);
    CHECK(record.first(time + 11s) == 0);
    record.note_good(1, time + 12s);
    CHECK(record.first(time + 13s) == 1);
    record.note_good(0, time + 14s);
    CHECK(record.first(time + 15s) == 0);
    CHECK(record.health()[0].status == Status::healthy);
    LoginRecord alone(1);
    alone.note_bad(0, refused, time);
    CHECK(alone.first(time) == 0);
}

TEST_CASE("check: asks the token server about each login, whatever pulls found before") {
    TokenServer tokens{.good = {second_basic}};
    ScriptedServer registry(behind(tokens.server));
    PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
    auto healths = box.check();
    REQUIRE(healths.size() == 2);
    CHECK(healths[0].status == Status::unhealthy);
    CHECK(healths[0].code == "Unauthorized");
    CHECK(healths[0].message == fmt::format("credential set 'set0': {} answered 401", tokens.server.url()));
    CHECK(healths[1].status == Status::healthy);
    CHECK(registry.requests()[0].target() == "/v2/");
    CHECK(tokens.server.requests()[0].target() == "/token?service=registry.test");
    tokens.good = {first_basic};
    healths = box.check();
    CHECK(healths[0].status == Status::healthy);
    CHECK(healths[0].message.empty());
    CHECK(healths[1].status == Status::unhealthy);
}

TEST_CASE("check: what cannot be asked is unknown, with the reason") {
    TokenServer tokens{.good = {}, .refusal = 500};
    ScriptedServer registry(behind(tokens.server));
    {
        PairBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.server.url()}});
        CHECK(box.check()[0].status == Status::unknown);
        CHECK(box.check()[0].code == "Unreachable");
        registry.script([](const ServedRequest&) { return Served::ok("{}"); });
        CHECK(box.check()[0].status == Status::unknown);
        CHECK(box.check()[0].message.find("asked for no login") != std::string::npos);
    }
    PairBox nowhere(Plan{.endpoints = {fmt::format("http://127.0.0.1:{}", closed_port())}});
    CHECK(nowhere.check()[0].status == Status::unknown);
    CHECK(nowhere.check()[1].message.find("refuses connections") != std::string::npos);
}

TEST_CASE("check: a registry that asks for Basic is asked itself") {
    ScriptedServer registry([](const ServedRequest& request) {
        return request.header("Authorization") == first_basic ? Served::ok("{}") : Served::unauthorized(R"(Basic realm="lab")");
    });
    PairBox box(Plan{.endpoints = {registry.url()}});
    auto healths = box.check();
    CHECK(healths[0].status == Status::healthy);
    CHECK(healths[1].status == Status::unhealthy);
    CHECK(healths[1].code == "Unauthorized");
    // No rate limit is judged: a registry without such headers is as healthy as one with.
    for (auto& request : registry.requests()) CHECK(request.target() == "/v2/");
}

TEST_CASE("check: a realm that may not see the login is told, and sees nothing") {
    TokenServer tokens{.good = {first_basic}};
    ScriptedServer registry(behind(tokens.server));
    PairBox box(Plan{.endpoints = {registry.url()}});
    auto healths = box.check();
    CHECK(healths[0].status == Status::unhealthy);
    CHECK(healths[0].message.find("add it to the upstream's realms") != std::string::npos);
    CHECK(tokens.server.count() == 0);
}
