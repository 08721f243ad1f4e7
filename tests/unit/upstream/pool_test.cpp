// Connections: used again, looked at before, bounded, and closed in time.

#include "upstream/upstream_box.h"

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

}  // namespace

TEST_CASE("pool: one connection serves one exchange after another") {
    ScriptedServer registry([](const ServedRequest&) { return Served::ok("blob"); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (int i = 0; i < 10; ++i) CHECK(box.ask().good());
    CHECK(registry.accepts() == 1);
    box.close();
    box.loop.run_until([&] { return registry.open() == 0; });
}

TEST_CASE("pool: an error page does not cost the connection, however it is framed") {
    const Served pages[] = {Served::status(404, "", "{\"errors\":[]}"),
                            Served::status(404, "Transfer-Encoding: chunked\r\n", "5\r\nerror\r\n0\r\n\r\n"),
                            Served::status(403, "", std::string(16 * 1024, 'x'))};
    ScriptedServer registry(
        [&](const ServedRequest& request) { return pages[static_cast<std::size_t>(request.number) % std::size(pages)]; });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (int i = 0; i < 6; ++i) CHECK(!box.ask().good());
    CHECK(registry.accepts() == 1);
}

TEST_CASE("pool: a connection that cannot go on is not used again") {
    const Served answers[] = {Served::ok("x", "Connection: close\r\n"),
                              Served::status(404, "", std::string(100'000, 'x')),                // too much to read past
                              Served::status(500, "Transfer-Encoding: chunked\r\n", "zz\r\n")};  // broken framing
    for (auto& answer : answers) {
        ScriptedServer registry([&](const ServedRequest& request) { return request.number == 0 ? answer : Served::ok("good"); });
        UpstreamBox box(Plan{.endpoints = {registry.url()}});
        box.ask();
        CHECK(box.ask().body == "good");
        CHECK(registry.accepts() == 2);
    }
    Served old;
    old.bytes = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx";
    ScriptedServer registry([&](const ServedRequest&) { return old; });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().good());
    CHECK(box.ask().good());
    CHECK(registry.accepts() == 2);
}

TEST_CASE("pool: a body that was left in the middle closes its connection") {
    ScriptedServer registry([](const ServedRequest&) { return Served::ok(std::string(1'000'000, 'x')); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    auto asking = box.upstreams->ask(box.request());
    auto answer = box.loop.run(std::move(asking));
    REQUIRE(answer);
    auto exchange = *std::move(answer);
    std::byte piece[100];
    REQUIRE(box.loop.run(exchange->read(piece)));
    box.loop.run(exchange->finish());
    exchange.reset();
    box.loop.run_until([&] { return registry.open() == 0; });
    CHECK(box.ask().good());
}

TEST_CASE("pool: a connection that the upstream closed while idle is replaced without anybody noticing") {
    ScriptedServer registry([](const ServedRequest&) {
        auto served = Served::ok("blob");
        served.then = Served::Then::close;  // without having said so
        return served;
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (int i = 0; i < 5; ++i) {
        CHECK(box.ask().good());
        box.loop.run_for(10ms);
    }
    CHECK(registry.accepts() == 5);
    CHECK(registry.count() == 5);
    auto& counters = box.table->counters(0);
    CHECK(counters.by_status[static_cast<std::size_t>(UpstreamKind::blob)][0].load() == 0);
}

TEST_CASE("pool: a connection that closes on the second request is replaced once, and a new one that does so too is a failure") {
    ScriptedServer registry([](const ServedRequest& request) {
        if (request.number == 0) return Served::ok("first");
        Served closing;
        closing.then = Served::Then::close;
        return closing;
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().good());
    auto answer = box.ask();
    CHECK((answer.code() == Code::closed || answer.code() == Code::reset));
    CHECK(registry.count() == 1 + 1 + 3);  // the stale one, and three rounds
}

TEST_CASE("pool: bytes that came unasked are no answer") {
    ScriptedServer registry([](const ServedRequest& request) {
        if (request.connection > 0) return Served::ok("right");
        auto served = Served::ok("first");
        served.first = 20ms;
        served.more = Served::ok("smuggled").bytes;
        return served;
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "first");
    box.loop.run_for(80ms);
    CHECK(box.ask().body == "right");
    CHECK(registry.accepts() == 2);
}

TEST_CASE("pool: bytes behind a body end the connection") {
    ScriptedServer registry([](const ServedRequest& request) {
        auto served = Served::ok("first");
        if (request.connection == 0) served.bytes += Served::ok("smuggled").bytes;
        return served;
    });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    CHECK(box.ask().body == "first");
    CHECK(box.ask().body == "first");
    CHECK(registry.accepts() == 2);
}

TEST_CASE("pool: idle connections are closed when their time is over, without anybody asking") {
    ScriptedServer registry([](const ServedRequest&) {
        auto served = Served::ok("blob");
        served.first = 30ms;
        return served;
    });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.idle_time_max = 100ms;
    UpstreamBox box(std::move(plan));
    std::vector<UpstreamRequest> wanted(5, box.request());
    box.ask_together(std::move(wanted));
    CHECK(registry.accepts() == 5);
    CHECK(registry.open() == 5);
    auto started = now();
    box.loop.run_until([&] { return registry.open() == 0; }, 5s);
    CHECK(now() - started >= 60ms);
}

TEST_CASE("pool: no more idle connections are kept than the bound says") {
    ScriptedServer registry([](const ServedRequest&) {
        auto served = Served::ok("blob");
        served.first = 50ms;
        return served;
    });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.idle_connections_max = 3;
    UpstreamBox box(std::move(plan));
    std::vector<UpstreamRequest> wanted(10, box.request());
    box.ask_together(std::move(wanted));
    CHECK(registry.accepts() == 10);
    box.loop.run_until([&] { return registry.open() == 3; });
}

TEST_CASE("pool: connections and the queue before them are bounded") {
    ScriptedServer registry([&](const ServedRequest&) {
        auto served = Served::ok("blob");
        served.first = 20ms;
        return served;
    });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.connections_per_upstream_max = 4;
    plan.options.waiting_max = 10;
    UpstreamBox box(std::move(plan));
    std::vector<UpstreamRequest> wanted(20, box.request());
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i].client = i % 5;
    auto results = box.ask_together(std::move(wanted));
    auto good = std::count_if(results.begin(), results.end(), [](auto& result) { return result.good(); });
    auto busy = std::count_if(results.begin(), results.end(), [](auto& result) { return result.code() == Code::busy; });
    CHECK(good == 13);  // the last place is for somebody who has none
    CHECK(busy == 7);
    CHECK(registry.accepts() == 4);
    CHECK(results.back().failure->error.fault == Fault::capacity);
    CHECK(box.ask().good());  // every slot came back
}

TEST_CASE("pool: a client with more long transfers than there are exchanges leaves one for the next who comes") {
    ScriptedServer registry([&](const ServedRequest& request) {
        if (request.target().ends_with("endless")) return hanging();
        return Served::ok("blob");
    });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.connections_per_upstream_max = 8;
    UpstreamBox box(std::move(plan));
    std::vector<Task<UpstreamAnswer>> endless;
    for (int i = 0; i < 100; ++i) {
        auto request = box.request("blobs/endless");
        request.client = 1;
        endless.push_back(box.upstreams->ask(std::move(request)));
    }
    auto& line = box.table->counters(0).exchanges;
    box.loop.run_until([&] { return registry.accepts() == 4; });
    CHECK(line.held == 4);
    CHECK(line.waiting == 96);
    CHECK(line.waiting_clients == 1);
    auto other = box.request();
    other.client = 2;
    CHECK(box.ask(std::move(other)).body == "blob");
    box.upstreams->interrupt();
    for (auto& task : endless) CHECK_FALSE(box.loop.run(std::move(task)));
    CHECK(line.held == 0);
}

TEST_CASE("pool: failures give their slots back") {
    ScriptedServer registry([](const ServedRequest& request) {
        if (request.target().ends_with("hang")) return hanging();
        if (request.target().ends_with("gone")) return Served::status(404);
        return Served::ok("blob");
    });
    Plan plan{.endpoints = {registry.url()}};
    plan.options.connections_per_upstream_max = 2;
    plan.options.first_byte_timeout = 50ms;
    UpstreamBox box(std::move(plan));
    for (int i = 0; i < 10; ++i) CHECK(box.ask("blobs/gone").code() == Code::not_found);
    auto started = now();
    CHECK(box.ask("blobs/hang").code() == Code::timeout);
    CHECK(now() - started < 900ms);  // a connection without an answer has no rest to wait for
    std::vector<UpstreamRequest> wanted(6, box.request());
    for (auto& result : box.ask_together(std::move(wanted))) CHECK(result.good());
}

TEST_CASE("pool: a login server's own connections are not used for another host") {
    ScriptedServer store([](const ServedRequest&) { return Served::ok("stored"); });
    ScriptedServer registry([&](const ServedRequest&) { return Served::redirect(307, store.url("/x")); });
    UpstreamBox box(Plan{.endpoints = {registry.url()}});
    for (int i = 0; i < 5; ++i) CHECK(box.ask().body == "stored");
    CHECK(registry.accepts() == 1);
    CHECK(store.accepts() == 1);
}

TEST_CASE("pool: a connection that one upstream may open is no way for another around its own policy") {
    ScriptedServer server([](const ServedRequest&) { return Served::ok("blob"); });
    UpstreamSpec stranger;
    stranger.login_server = "stranger.test";
    stranger.endpoints = {server.url()};
    stranger.allow_private = false;
    UpstreamBox box(Plan{.endpoints = {server.url()}, .others = {stranger}});
    CHECK(box.ask().good());  // and the connection is idle now
    auto request = box.request();
    request.upstream = box.table->find("stranger.test");
    CHECK(box.ask(request).code() == Code::address_forbidden);
    CHECK(server.count() == 1);
}
