// Redirects: followed, but with empty hands.

#include "upstream/upstream_box.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

const std::string basic = "Basic bGFiOmNvcnJlY3QtaG9yc2U=";
using Plan = UpstreamBox::Plan;

/// Wants Basic, then answers what `then` says.
ScriptedServer::Script after_login(ScriptedServer::Script then) {
    return [then = std::move(then)](const ServedRequest& request) {
        if (request.target().starts_with("/v2/") && request.header("Authorization") != basic)
            return Served::unauthorized(R"(Basic realm="lab")");
        return then(request);
    };
}

}  // namespace

TEST_CASE("redirects: each kind is followed to another host without a login, over two hops") {
    for (int status : {301, 302, 303, 307, 308}) {
        CAPTURE(status);
        ScriptedServer store([](const ServedRequest&) { return Served::ok("blob", "Set-Cookie: session=1\r\n"); });
        ScriptedServer middle([&](const ServedRequest&) {
            return Served::status(status, "Location: " + store.url("/b") + "\r\nSet-Cookie: a=b\r\n");
        });
        ScriptedServer registry(after_login([&](const ServedRequest&) {
            return Served::status(status, "Location: " + middle.url("/a?sig=1") + "\r\nSet-Cookie: c=d\r\n");
        }));
        UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
        CHECK(box.ask().body == "blob");
        CHECK(box.ask().body == "blob");
        CHECK(middle.requests()[0].target() == "/a?sig=1");
        CHECK(middle.logins().empty());
        CHECK(store.logins().empty());
        for (auto* server : {&registry, &middle, &store}) {
            for (auto& request : server->requests()) CHECK(!request.header("Cookie"));
        }
    }
}

TEST_CASE("redirects: a login that was dropped is dropped for good, even back at the registry") {
    ScriptedServer detour;
    ScriptedServer registry([&](const ServedRequest& request) {
        if (request.target() == "/v2/lab/app/blobs/sha256:stolen") return Served::unauthorized(R"(Basic realm="lab")");
        if (request.header("Authorization") != basic) return Served::unauthorized(R"(Basic realm="lab")");
        return Served::redirect(307, detour.url("/x"));
    });
    detour.script([&](const ServedRequest&) { return Served::redirect(307, registry.url("/v2/lab/app/blobs/sha256:stolen")); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
    CHECK(box.ask().code() == Code::unauthorized);
    for (auto& login : registry.logins()) CHECK(login.find("stolen") == std::string::npos);
    CHECK(detour.logins().empty());
}

TEST_CASE("redirects: within the registry the login is given again when it is asked for again") {
    ScriptedServer registry(after_login([](const ServedRequest& request) {
        return request.target().ends_with("moved") ? Served::ok("blob") : Served::redirect(303, "/v2/lab/app/blobs/moved");
    }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
    CHECK(box.ask().body == "blob");
}

TEST_CASE("redirects: another port of the same host is another origin") {
    ScriptedServer trap([](const ServedRequest&) { return Served::unauthorized(R"(Basic realm="give")"); });
    ScriptedServer registry(after_login([&](const ServedRequest&) { return Served::redirect(307, trap.url("/x")); }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
    CHECK(box.ask().code() == Code::unauthorized);
    CHECK(trap.count() == 1);
    CHECK(trap.logins().empty());
}

TEST_CASE("redirects: a host that challenges gets an anonymous token, of the repository that its path names") {
    ScriptedServer tokens([](const ServedRequest&) { return Served::ok(R"({"token":"anonymous"})"); });
    ScriptedServer regional([&](const ServedRequest& request) {
        if (request.header("Authorization") == "Bearer anonymous") return Served::ok("manifest");
        return Served::unauthorized(fmt::format(R"(Bearer realm="{}",service="regional")", tokens.url("/v2/token")));
    });
    ScriptedServer registry(after_login(
        [&](const ServedRequest&) { return Served::redirect(307, regional.url("/v2/prod/images/app/manifests/1")); }));
    UpstreamBox box(Plan{.endpoints = {registry.url()}, .realms = {tokens.url()}, .with_credential = true});
    CHECK(box.ask("manifests/1", UpstreamKind::manifest_get).body == "manifest");
    REQUIRE(tokens.count() == 1);
    CHECK(tokens.logins().empty());
    CHECK(tokens.requests()[0].target() == "/v2/token?service=regional&scope=repository%3Aprod%2Fimages%2Fapp%3Apull");
    CHECK(regional.logins() == std::vector<std::string>{"/v2/prod/images/app/manifests/1: Bearer anonymous"});
}

TEST_CASE("redirects: five are followed and six are a loop") {
    for (int hops : {5, 6}) {
        CAPTURE(hops);
        ScriptedServer registry([&](const ServedRequest& request) {
            return request.number < hops ? Served::redirect(302, fmt::format("/hop{}", request.number)) : Served::ok("blob");
        });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        auto answer = box.ask();
        CHECK(answer.good() == (hops == 5));
        CHECK(registry.count() == 6);
        if (hops == 6) CHECK(answer.code() == Code::loop);
    }
}

TEST_CASE("redirects: relative targets are resolved, and what is no URL is not followed") {
    ScriptedServer registry([](const ServedRequest& request) {
        return request.target() == "/v2/lab/app/blobs/other?x=1" ? Served::ok("blob") : Served::redirect(307, "other?x=1");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "blob");
    for (const char* location :
         {"", "ht!tp://x y/", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://good@127.0.0.1/", "http:///x"}) {
        CAPTURE(std::string(location));
        registry.script([&](const ServedRequest&) { return Served::redirect(307, location); });
        CHECK(box.ask().code() == Code::bad_message);
    }
    registry.script([&](const ServedRequest&) { return Served::status(302); });
    CHECK(box.ask().code() == Code::bad_message);
}

TEST_CASE("redirects: a private address is refused unless the upstream may be private") {
    ScriptedServer registry(
        [](const ServedRequest&) { return Served::redirect(307, "http://169.254.169.254/latest/meta-data/"); });
    UpstreamBox closed(Plan{.endpoints = {registry.url()}, .allow_private = false});
    auto refused = closed.ask();
    CHECK(refused.code() == Code::address_forbidden);
    CHECK(refused.failure->error.fault == Fault::policy);
    CHECK(refused.why().find("allow_private") != std::string::npos);
    CHECK(registry.count() == 0);  // loopback is private too
}

TEST_CASE("redirects: link-local addresses are refused even where private ones are allowed") {
    for (const char* host : {"169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]", "[febf::1]"}) {
        CAPTURE(std::string(host));
        ScriptedServer registry(
            [&](const ServedRequest&) { return Served::redirect(307, fmt::format("http://{}/latest/meta-data/", host)); });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        CHECK(box.ask().code() == Code::address_forbidden);
    }
}

TEST_CASE("redirects: nothing leads to ourselves") {
    ScriptedServer ourselves;
    for (std::string host : {"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"}) {
        CAPTURE(host);
        ScriptedServer registry(
            [&](const ServedRequest&) { return Served::redirect(307, fmt::format("http://{}:{}/v2/", host, ourselves.port())); });
        Plan plan{.endpoints = {registry.url()}};
        plan.options.own_addresses = {fmt::format("127.0.0.1:{}", ourselves.port())};
        UpstreamBox box(std::move(plan));
        auto refused = box.ask();
        CHECK(refused.code() == Code::loop);
        CHECK(refused.why().find("leads back to this server") != std::string::npos);
    }
    CHECK(ourselves.accepts() == 0);
}
