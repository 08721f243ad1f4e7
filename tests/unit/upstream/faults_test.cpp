// Bad days of upstreams: what is retried, what is not, who is left alone, and how soon everything ends.

#include "upstream/upstream_box.h"

#include "entrepot/http/date.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

using Plan = UpstreamBox::Plan;

Served hanging() {
    Served served;
    served.then = Served::Then::hang;
    return served;
}

Served closing() {
    Served served;
    served.then = Served::Then::close;
    return served;
}

}  // namespace

TEST_CASE("faults: each status has its code and is asked for as often as it deserves") {
    struct Row {
        int status;
        Code code;
        std::size_t requests;
    };
    const Row rows[] = {{400, Code::bad_status, 1},        {403, Code::denied, 1},     {404, Code::not_found, 1},
                        {405, Code::bad_status, 1},        {410, Code::not_found, 1},  {418, Code::bad_status, 1},
                        {429, Code::too_many_requests, 1}, {451, Code::denied, 1},     {500, Code::bad_status, 3},
                        {501, Code::bad_status, 1},        {502, Code::bad_status, 3}, {503, Code::bad_status, 3},
                        {504, Code::bad_status, 3},        {522, Code::bad_status, 1}, {204, Code::bad_status, 1},
                        {304, Code::bad_status, 1},        {300, Code::bad_status, 1}};
    for (auto& row : rows) {
        CAPTURE(row.status);
        ScriptedServer registry(
            [&](const ServedRequest&) { return Served::status(row.status, "", "secret of upstream\x1b[31m"); });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        auto answer = box.ask();
        CHECK(answer.code() == row.code);
        REQUIRE(answer.failure);
        CHECK(answer.failure->error.detail == row.status);
        CHECK(answer.why() == fmt::format("{} answered {}", registry.url(), row.status));
        CHECK(registry.count() == row.requests);
    }
}

TEST_CASE("faults: an upstream that recovers is worth a retry") {
    ScriptedServer registry([](const ServedRequest& request) {
        if (request.number == 0) return Served::status(503);
        if (request.number == 1) return closing();
        return Served::ok("blob");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "blob");
    CHECK(registry.count() == 3);
}

TEST_CASE("faults: a 503 that asks for time is not asked again, and its wish is passed on") {
    ScriptedServer registry([](const ServedRequest&) { return Served::status(503, "Retry-After: 30\r\n"); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto answer = box.ask();
    CHECK(answer.failure->retry_after == 30s);
    CHECK(registry.count() == 1);
}

TEST_CASE("faults: the circuit opens after five failures, fails fast, probes once a second and closes again") {
    std::atomic<bool> up{false};
    ScriptedServer registry([&](const ServedRequest&) { return up ? Served::ok("blob") : Served::status(500); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().code() == Code::bad_status);
    CHECK(box.ask().code() == Code::bad_status);
    CHECK(registry.count() == 5);
    auto opened = now();
    int refused = 0, slow = 0;
    while (now() - opened < 2500ms) {
        auto started = now();
        auto answer = box.ask();
        REQUIRE(answer.failure);
        // What it says is what upstream said last: a rule may tell an upstream that is gone from one that answers 500.
        CHECK(answer.code() == Code::bad_status);
        if (answer.failure->why.find("probed") != std::string::npos) ++refused;
        slow += now() - started > 100ms;
        box.loop.run_for(2ms);
    }
    auto probes = registry.count() - 5;
    CHECK(probes >= 1);
    CHECK(probes <= 3);
    CHECK(refused > 100);
    CHECK(slow * 100 <= refused);  // a machine under load may take our thread away now and then
    up = true;
    while (!box.ask().good() && now() - opened < 10s) box.loop.run_for(20ms);
    for (int i = 0; i < 10; ++i) CHECK(box.ask().good());
}

TEST_CASE("faults: failing asks cost an upstream at most a fifth and ten a second more") {
    // Half of all asks fail, so that the circuit stays closed and only the budget bounds the retries.
    ScriptedServer registry([](const ServedRequest& request) {
        return request.target().ends_with("bad") ? Served::status(500) : Served::ok("blob");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto started = now();
    constexpr std::size_t rounds = 30, each = 10;
    for (std::size_t round = 0; round < rounds; ++round) {
        std::vector<UpstreamRequest> wanted;
        for (std::size_t i = 0; i < each; ++i) wanted.push_back(box.request(i % 2 ? "blobs/bad" : "blobs/good"));
        box.ask_together(std::move(wanted));
    }
    auto elapsed = std::chrono::duration<double>(now() - started).count();
    auto asked = static_cast<double>(rounds * each);
    CHECK(static_cast<double>(registry.count()) <= asked * 1.2 + elapsed * 10 + 10 + 1);
}

TEST_CASE("faults: a 429 holds back everybody with the same rights, for as long as it says") {
    auto in_a_minute = format_http_date(wall_seconds() + 60);
    auto long_ago = format_http_date(wall_seconds() - 86'400);
    struct Row {
        std::string value;
        Duration least, most;
    };
    const Row rows[] = {{"0", 1s, 1s},
                        {"3600", 3600s, 3600s},
                        {"7200", 3600s, 3600s},
                        {"-5", 10s, 10s},
                        {"junk", 10s, 10s},
                        {"", 10s, 10s},
                        {"99999999999999999999", 3600s, 3600s},
                        {std::string(in_a_minute.data(), in_a_minute.size()), 55s, 60s},
                        {std::string(long_ago.data(), long_ago.size()), 1s, 1s}};
    for (auto& row : rows) {
        CAPTURE(row.value);
        ScriptedServer registry([&](const ServedRequest& request) {
            return request.number == 0 ? Served::status(429, fmt::format("Retry-After: {}\r\n", row.value)) : Served::ok("blob");
        });
        UpstreamBox box(Plan{.endpoints = {registry.url()}, .with_credential = true});
        auto first = box.ask();
        REQUIRE(first.failure);
        CHECK(first.code() == Code::too_many_requests);
        CHECK(first.failure->retry_after >= row.least);
        CHECK(first.failure->retry_after <= row.most);
        auto head = box.request("manifests/1", UpstreamKind::manifest_head);
        head.head = true;
        auto second = box.ask(head);  // HEADs stop too
        CHECK(second.code() == Code::too_many_requests);
        CHECK(second.failure->retry_after > 0s);
        CHECK(second.failure->retry_after <= first.failure->retry_after);
        CHECK(registry.count() == 1);
        auto anonymous = box.request();
        anonymous.credential = nullptr;
        CHECK(box.ask(anonymous).good());
    }
}

TEST_CASE("faults: the back-off of a 429 ends") {
    ScriptedServer registry([](const ServedRequest& request) {
        return request.number == 0 ? Served::status(429, "Retry-After: 1\r\n") : Served::ok("blob");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(!box.ask().good());
    box.loop.run_for(1050ms);
    CHECK(box.ask().good());
}

TEST_CASE("faults: a 429 of a store behind a redirect does not hold back the registry") {
    ScriptedServer store([](const ServedRequest&) { return Served::status(429); });
    ScriptedServer registry([&](const ServedRequest& request) {
        return request.target().ends_with("moved") ? Served::redirect(307, store.url("/x")) : Served::ok("blob");
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask("blobs/moved").code() == Code::too_many_requests);
    CHECK(box.ask("blobs/other").good());
}

TEST_CASE("faults: a port where nobody listens refuses") {
    UpstreamBox box(Plan{.endpoints = {fmt::format("http://127.0.0.1:{}", closed_port())}});
    auto answer = box.ask();
    CHECK(answer.code() == Code::refused);
    CHECK(answer.why().find("refuses connections") != std::string::npos);
}

TEST_CASE("faults: a host that swallows what is sent to it is given up at the deadline") {
    SwallowingPort hole;
    Plan plan{.endpoints = {fmt::format("http://127.0.0.1:{}", hole.port())}};
    plan.options.connect_timeout = 100ms;
    UpstreamBox box(std::move(plan));
    auto started = now();
    auto answer = box.ask();
    CHECK(answer.code() == Code::timeout);
    CHECK(answer.why().find("did not accept a connection in time") != std::string::npos);
    CHECK(now() - started >= 300ms);
    CHECK(now() - started < 2s);
}

TEST_CASE("faults: interrupt waits for a connection that is being opened no longer than its deadline") {
    SwallowingPort hole;
    Plan plan{.endpoints = {fmt::format("http://127.0.0.1:{}", hole.port())}};
    plan.options.connect_timeout = 200ms;
    UpstreamBox box(std::move(plan));
    Exchanged result;
    TaskGroup group;
    group.start(box.exchange_into(box.request(), result));
    box.loop.run_for(20ms);
    auto started = now();
    box.upstreams->interrupt();
    box.loop.finish(group);
    CHECK(result.failure->error.fault == Fault::shutdown);
    CHECK(now() - started < 1s);
}

TEST_CASE("faults: whoever accepts and never answers is waited for as long as was agreed") {
    ScriptedServer silent([](const ServedRequest&) { return hanging(); });
    Plan plan{.endpoints = {silent.url()}};
    plan.options.first_byte_timeout = 100ms;
    UpstreamBox box(std::move(plan));
    auto started = now();
    auto late = box.ask();
    CHECK(late.code() == Code::timeout);
    CHECK(now() - started < 2s);
    CHECK(silent.count() == 3);
}

TEST_CASE("faults: a name without an address is told by the name") {
    UpstreamBox box(Plan{.endpoints = {"http://no-such-host.invalid"}});
    auto unknown = box.ask();
    CHECK((unknown.code() == Code::name_unresolved || unknown.code() == Code::timeout));
    CHECK(unknown.why().find("no-such-host.invalid") != std::string::npos);
}

TEST_CASE("faults: the second endpoint answers for the first, which then comes last") {
    ScriptedServer good([](const ServedRequest&) { return Served::ok("good"); });
    ScriptedServer bad([](const ServedRequest&) { return Served::status(502); });
    UpstreamBox box(Plan{.endpoints = {bad.url(), good.url()}});
    for (int i = 0; i < 20; ++i) {
        auto answer = box.ask();
        CHECK(answer.body == "good");
        CHECK(answer.endpoint == 1);
    }
    CHECK(bad.count() == 1);
    CHECK(good.count() == 20);
}

TEST_CASE("faults: a definite answer of the first endpoint is the answer") {
    ScriptedServer second;
    ScriptedServer first([](const ServedRequest&) { return Served::status(404); });
    UpstreamBox box(Plan{.endpoints = {first.url(), second.url()}});
    CHECK(box.ask().code() == Code::not_found);
    CHECK(second.count() == 0);
}

TEST_CASE("faults: an endpoint that lied is tried after the others") {
    ScriptedServer honest([](const ServedRequest&) { return Served::ok("true"); });
    ScriptedServer liar([](const ServedRequest&) { return Served::ok("false"); });
    UpstreamBox box(Plan{.endpoints = {liar.url(), honest.url()}});
    auto answer = box.ask();
    CHECK(answer.body == "false");
    box.upstreams->distrust(*box.table->find(UpstreamBox::login_server), answer.endpoint);
    CHECK(box.ask().body == "true");
}

TEST_CASE("faults: all endpoints in trouble are tried again in their order") {
    ScriptedServer one([](const ServedRequest& request) { return request.number < 2 ? Served::status(500) : Served::ok("one"); });
    ScriptedServer two([](const ServedRequest&) { return Served::status(500); });
    UpstreamBox box(Plan{.endpoints = {one.url(), two.url()}});
    CHECK(box.ask().body == "one");
    CHECK(one.count() == 3);
    CHECK(two.count() == 2);
}

TEST_CASE("faults: interrupt ends what waits for a head, for a slot, for a retry, for a token and in a body") {
    ScriptedServer tokens([](const ServedRequest&) { return hanging(); });
    ScriptedServer registry([&](const ServedRequest& request) {
        auto target = request.target();
        if (target.ends_with("token")) return Served::unauthorized(fmt::format(R"(Bearer realm="{}")", tokens.url("/t")));
        if (target.ends_with("body")) {
            auto served = Served::status(200, "Content-Length: 100\r\n", "begun");
            served.then = Served::Then::hang;
            return served;
        }
        return hanging();
    });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.connections_per_upstream_max = 5;  // of which one client has three (io/fair_slots.h)
    UpstreamBox box(std::move(plan));
    std::vector<Exchanged> results(8);
    TaskGroup group;
    const char* resources[] = {"blobs/head", "blobs/token", "blobs/body", "blobs/1", "blobs/2", "blobs/3", "blobs/4", "blobs/5"};
    for (std::size_t i = 0; i < results.size(); ++i) group.start(box.exchange_into(box.request(resources[i]), results[i]));
    box.loop.run_until([&] { return registry.count() == 3 && tokens.count() == 1; });
    box.loop.run_for(20ms);
    auto started = now();
    box.upstreams->interrupt();
    box.loop.finish(group);
    CHECK(now() - started < 1s);
    for (auto& result : results) {
        auto fault = result.failure ? result.failure->error.fault : result.body_error ? result.body_error->fault : Fault::client;
        CHECK(fault == Fault::shutdown);
    }
    CHECK(results[2].body == "begun");
    CHECK(box.ask().failure->error.fault == Fault::shutdown);
    CHECK(registry.count() == 3);
}

TEST_CASE("faults: interrupt wakes a retry from its sleep") {
    ScriptedServer registry([](const ServedRequest&) { return Served::status(500); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    Exchanged result;
    TaskGroup group;
    group.start(box.exchange_into(box.request(), result));
    box.loop.run_until([&] { return registry.count() >= 1; });
    box.upstreams->interrupt();
    box.loop.finish(group);
    CHECK(result.failure->error.fault == Fault::shutdown);
}
