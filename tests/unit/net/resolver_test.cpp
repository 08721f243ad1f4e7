#include "entrepot/net/resolver.h"

#include "entrepot/io/blocking.h"

#include "support/run_task.h"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

/// Made after the loop: a lane's thread may still be ringing the loop's bell when its answer is already here.
class Lanes {
  public:
    Lanes() { start_lanes(); }
    ~Lanes() { stop_lanes(); }
};

Instant soon() { return now() + 10s; }

/// What the scripted lookup answers; read by the lane's threads.
struct Script {
    std::atomic<int> lookups{0};
    std::atomic<bool> fails{false};
    std::atomic<bool> held{false};
    std::atomic<int> last{1};  // the answer is 192.0.2.<last>
};
Script script;

Result<std::vector<Address>> scripted(const std::string& host, std::uint16_t port) {
    ++script.lookups;
    while (script.held) std::this_thread::sleep_for(1ms);
    if (script.fails) return Error{Fault::upstream, Code::name_unresolved, 7};
    if (host != "mixed") return std::vector{*Address::parse("192.0.2." + std::to_string(script.last), port)};
    std::vector<Address> addresses;
    for (auto ip : {"2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1", "192.0.2.2"})
        addresses.push_back(*Address::parse(ip, port));
    return addresses;
}

Resolver::Options scripted_options() {
    script.lookups = 0;
    script.fails = script.held = false;
    script.last = 1;
    Resolver::Options options;
    options.fresh_time = 250ms;
    options.stale_time_max = 1200ms;
    options.stale_patience = 50ms;
    options.failure_pause = 150ms;
    options.look_up = &scripted;
    return options;
}

std::string only_ip(const Result<std::vector<Address>>& answer) {
    REQUIRE(answer);
    REQUIRE(answer->size() == 1);
    return (*answer)[0].ip_text();
}

}  // namespace

TEST_CASE("resolver: an address literal is its own answer") {
    TestLoop loop;
    Resolver resolver;
    CHECK(*loop.run(resolver.resolve("127.0.0.1", 5000, soon())) == std::vector{*Address::parse("127.0.0.1", 5000)});
    CHECK(*loop.run(resolver.resolve("[::1]", 443, soon())) == std::vector{*Address::parse("::1", 443)});
}

TEST_CASE("resolver: the system's names resolve, with the port that was asked for, and again from memory") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver;
    for (std::uint16_t port : {80, 443}) {
        auto answer = loop.run(resolver.resolve(port == 80 ? "localhost" : "LocalHost.", port, soon()));
        REQUIRE(answer);
        REQUIRE(!answer->empty());
        for (const auto& address : *answer) {
            CHECK(address.is_loopback());
            CHECK(address.port() == port);
        }
    }
    // The second name is the first one: it was answered without suspending.
    auto remembered = resolver.resolve("localhost", 1, soon());
    CHECK(remembered.done());
    CHECK(loop.run(std::move(remembered)));
    loop.run(resolver.close());
}

TEST_CASE("resolver: a name that does not exist is unresolved, and what is no name is not asked for") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver;
    auto missing = loop.run(resolver.resolve("no-such-host.invalid", 443, now() + 20s));
    REQUIRE(!missing);
    CHECK(missing.error().fault == Fault::upstream);
    CHECK((missing.error().code == Code::name_unresolved || missing.error().code == Code::timeout));
    for (auto name : {std::string(), std::string("."), std::string(254, 'a'), std::string("a\0b", 3)}) {
        auto asked = resolver.resolve(name, 443, soon());
        CHECK(asked.done());
        CHECK(loop.run(std::move(asked)).error().code == Code::name_unresolved);
    }
    loop.run(resolver.close());
}

TEST_CASE("resolver: a deadline ends the wait, and close waits for the lookup") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver;
    auto passed = loop.run(resolver.resolve("localhost", 80, now()));
    // The lookup may be faster than the timer wheel's tick; both answers are right.
    if (!passed) CHECK(passed.error().code == Code::timeout);
    loop.run(resolver.close());
}

TEST_CASE("resolver: the families take turns, and the system's first stays first") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver(scripted_options());
    auto answer = loop.run(resolver.resolve("mixed", 9, soon()));
    REQUIRE(answer);
    std::vector<std::string> order;
    for (const auto& address : *answer) order.push_back(address.ip_text());
    CHECK(order == std::vector<std::string>{"2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"});
    loop.run(resolver.close());
}

TEST_CASE("resolver: an answer is used while it is fresh, then asked for again") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver(scripted_options());
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    script.last = 2;
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    CHECK(script.lookups == 1);
    loop.run_for(260ms);
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.2");
    CHECK(script.lookups == 2);
    loop.run(resolver.close());
}

TEST_CASE("resolver: concurrent questions for one name are one lookup") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver(scripted_options());
    script.held = true;
    std::vector<Task<Result<std::vector<Address>>>> asking;
    asking.reserve(50);
    for (int i = 0; i < 50; ++i) asking.push_back(resolver.resolve("one", 1, soon()));
    loop.run_for(10ms);
    script.held = false;
    for (auto& task : asking) CHECK(only_ip(loop.run(std::move(task))) == "192.0.2.1");
    CHECK(script.lookups == 1);
    loop.run(resolver.close());
}

TEST_CASE("resolver: while lookups fail the last good answer is used, for its time") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver(scripted_options());
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    loop.run_for(260ms);
    script.fails = true;
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    CHECK(script.lookups == 2);
    // Right after a failure nobody asks again.
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    CHECK(script.lookups == 2);
    loop.run_for(1200ms);
    auto too_old = loop.run(resolver.resolve("a", 1, soon()));
    REQUIRE(!too_old);
    CHECK(too_old.error() == Error{Fault::upstream, Code::name_unresolved, 7});
    script.fails = false;
    loop.run_for(160ms);
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    loop.run(resolver.close());
}

TEST_CASE("resolver: a lookup that hangs delays nobody who has an old answer") {
    TestLoop loop;
    Lanes lanes;
    Resolver resolver(scripted_options());
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    loop.run_for(260ms);
    script.held = true;
    auto started = now();
    CHECK(only_ip(loop.run(resolver.resolve("a", 1, soon()))) == "192.0.2.1");
    CHECK(now() - started < 2s);
    auto without_old_answer = loop.run(resolver.resolve("b", 1, now() + 30ms));
    REQUIRE(!without_old_answer);
    CHECK(without_old_answer.error().code == Code::timeout);
    script.held = false;
    loop.run(resolver.close());
}

TEST_CASE("resolver: a full table forgets the name that was not asked for the longest, and refuses when all are being asked") {
    TestLoop loop;
    Lanes lanes;
    auto options = scripted_options();
    options.fresh_time = 1h;
    Resolver resolver(options);
    CHECK(loop.run(resolver.resolve("first", 1, soon())));
    loop.run_for(3ms);
    for (std::size_t i = 1; i < Resolver::names_max; ++i) REQUIRE(loop.run(resolver.resolve("n" + std::to_string(i), 1, soon())));
    CHECK(script.lookups == static_cast<int>(Resolver::names_max));
    CHECK(loop.run(resolver.resolve("one more", 1, soon())));
    CHECK(script.lookups == static_cast<int>(Resolver::names_max) + 1);
    CHECK(loop.run(resolver.resolve("n9", 1, soon())));
    CHECK(script.lookups == static_cast<int>(Resolver::names_max) + 1);
    CHECK(loop.run(resolver.resolve("first", 1, soon())));
    CHECK(script.lookups == static_cast<int>(Resolver::names_max) + 2);

    script.held = true;
    std::vector<Task<Result<std::vector<Address>>>> asking;
    asking.reserve(Resolver::names_max);
    for (std::size_t i = 0; i < Resolver::names_max; ++i) asking.push_back(resolver.resolve("m" + std::to_string(i), 1, soon()));
    auto refused = loop.run(resolver.resolve("nobody is idle", 1, soon()));
    REQUIRE(!refused);
    CHECK(refused.error() == Error{Fault::capacity, Code::busy, 0});
    script.held = false;
    for (auto& task : asking) CHECK(loop.run(std::move(task)));
    loop.run(resolver.close());
}
