#include "upstream/table.h"

#include "upstream/own_addresses.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

UpstreamSpec spec(const std::string& login_server, std::vector<std::string> endpoints, std::vector<std::string> realms = {}) {
    UpstreamSpec spec;
    spec.login_server = login_server;
    spec.endpoints = std::move(endpoints);
    spec.realms = std::move(realms);
    return spec;
}

std::string error_of(std::vector<UpstreamSpec> specs, UpstreamTable::Options options = {}) {
    auto table = UpstreamTable::make(std::move(specs), std::move(options));
    return table ? std::string() : table.error();
}

}  // namespace

TEST_CASE("upstream table: what cannot be used is told by the name of the upstream") {
    CHECK(error_of({spec("a.test", {"https://a.test"})}) == "");
    CHECK(error_of({spec("a.test", {})}) == "upstream 'a.test' has no endpoint");
    CHECK(error_of({spec("a.test", {"a.test"})}) == "upstream 'a.test': endpoint 'a.test' is no URL");
    CHECK(error_of({spec("a.test", {"https://a.test"}, {"auth"})}) == "upstream 'a.test': realm 'auth' is no URL");
    CHECK(error_of({spec("a.test", {"https://a.test"}), spec("a.test", {"https://b.test"})}) ==
          "there are two upstreams 'a.test'");
    auto private_ca = spec("a.test", {"https://a.test"});
    private_ca.ca_file = "/nonexistent/ca.pem";
    CHECK(error_of({private_ca}).find("upstream 'a.test': ") == 0);
    UpstreamTable::Options options;
    options.own_addresses = {"localhost:5000"};
    CHECK(error_of({spec("a.test", {"https://a.test"})}, options).find("localhost:5000") != std::string::npos);
}

TEST_CASE("upstream table: upstreams are found by name") {
    auto table = UpstreamTable::make({spec("a.test", {"https://a.test"}), spec("b.test", {"https://b.test"})}, {});
    REQUIRE(table);
    CHECK((*table)->count() == 2);
    CHECK((*table)->find("b.test") == &(*table)->at(1));
    CHECK((*table)->find("c.test") == nullptr);
}

TEST_CASE("upstream table: grows without moving what it gave away") {
    UpstreamTable::Options options;
    options.upstreams_max = 1000;
    auto made = UpstreamTable::make({spec("0.test", {"https://0.test"})}, options);
    REQUIRE(made);
    auto& table = **made;
    auto* first = table.find("0.test");
    auto& state = UpstreamTableOfProcess::state_of(*first);
    REQUIRE(table.load_trust(""));
    for (int i = 1; i < 1000; ++i) {
        auto name = fmt::format("{}.test", i);
        auto added = table.add(spec(name, {"https://" + name}));
        REQUIRE(added);
        CHECK(*added == table.find(name));
    }
    CHECK(table.count() == 1000);
    CHECK(table.find("0.test") == first);
    CHECK(&UpstreamTableOfProcess::state_of(*first) == &state);
    CHECK(first->endpoints == std::vector<std::string>{"https://0.test"});

    auto full = table.add(spec("more.test", {"https://more.test"}));
    REQUIRE_FALSE(full);
    CHECK(full.error().find("upstream 'more.test': there are 1000 login servers already") == 0);
    CHECK(table.find("more.test") == nullptr);
    CHECK(table.count() == 1000);
    std::vector<UpstreamSpec> more{spec("more.test", {"https://more.test"})};
    CHECK(table.check(more).error() == full.error());
    CHECK(table.check({}));
}

TEST_CASE("upstream table: what is refused later leaves no trace") {
    auto made = UpstreamTable::make({spec("a.test", {"https://a.test"})}, {});
    REQUIRE(made);
    auto& table = **made;
    CHECK(table.add(spec("a.test", {"https://a.test"})).error() == "there are two upstreams 'a.test'");
    CHECK(table.add(spec("b.test", {"b.test"})).error() == "upstream 'b.test': endpoint 'b.test' is no URL");
    std::vector<UpstreamSpec> sound{spec("c.test", {"https://c.test"})},
        unsound{spec("c.test", {"https://c.test"}), spec("b.test", {"b.test"})};
    CHECK(table.check(sound));
    CHECK(table.check(unsound).error() == "upstream 'b.test': endpoint 'b.test' is no URL");
    CHECK(table.load_trust("/nonexistent/ca.pem").error().find("/nonexistent/ca.pem") != std::string::npos);
    CHECK(table.count() == 1);
    CHECK(table.add(spec("b.test", {"https://b.test"})));
}

TEST_CASE("upstream table: credentials belong to exact origins") {
    auto table = UpstreamTable::make({spec("a.test", {"https://a.test", "http://10.0.0.1:5000"}, {"https://auth.a.test"})}, {});
    REQUIRE(table);
    auto& state = UpstreamTableOfProcess::state_of(*(*table)->find("a.test"));
    auto owns = [&](const char* url) { return state.owns(parse_url(url)->origin); };
    auto issues = [&](const char* url) { return state.may_issue_tokens(parse_url(url)->origin); };
    CHECK(owns("https://a.test/x"));
    CHECK(owns("https://A.test:443/"));
    CHECK(owns("https://a.test./"));
    CHECK(owns("http://10.0.0.1:5000/"));
    CHECK(issues("https://auth.a.test/token"));
    CHECK(issues("https://a.test/token"));
    for (const char* other : {"http://a.test/", "https://a.test:8443/", "https://b.a.test/", "https://a.test.evil.test/",
                              "https://xn--a-test.test/", "http://10.0.0.1/", "https://10.0.0.1:5000/"}) {
        CAPTURE(std::string(other));
        CHECK(!owns(other));
        CHECK(!issues(other));
    }
    CHECK(!owns("https://auth.a.test/"));
}

TEST_CASE("upstream table: an endpoint that failed comes last for 30 s") {
    auto table = UpstreamTable::make({spec("a.test", {"https://1.test", "https://2.test", "https://3.test"})}, {});
    REQUIRE(table);
    auto& state = UpstreamTableOfProcess::state_of((*table)->at(0));
    Instant time{1'000'000'000};
    using Order = std::vector<std::size_t>;
    CHECK(state.endpoint_order(time) == Order{0, 1, 2});
    state.avoid_endpoint(0, time);
    CHECK(state.endpoint_order(time) == Order{1, 2, 0});
    state.avoid_endpoint(1, time + 10s);
    CHECK(state.endpoint_order(time + 10s) == Order{2, 0, 1});
    CHECK(state.endpoint_order(time + 30s) == Order{0, 2, 1});
    CHECK(state.endpoint_order(time + 40s) == Order{0, 1, 2});
}

TEST_CASE("own addresses: a listener is known by its address, whatever dress it wears") {
    OwnAddresses own;
    REQUIRE(own.add("127.0.0.1:5000"));
    REQUIRE(!own.add("127.0.0.1"));
    auto contains = [&](const char* ip, std::uint16_t port) { return own.contains(*Address::parse(ip, port)); };
    CHECK(contains("127.0.0.1", 5000));
    CHECK(contains("::ffff:127.0.0.1", 5000));
    CHECK(contains("0.0.0.0", 5000));  // where the kernel connects to loopback
    CHECK(contains("::", 5000));
    CHECK(!contains("127.0.0.1", 5001));
    CHECK(!contains("127.0.0.2", 5000));
    CHECK(!contains("::1", 5000));
}

TEST_CASE("own addresses: a listener on every address is known by each") {
    for (const char* everywhere : {"0.0.0.0:5000", "[::]:5000", ":5000"}) {
        CAPTURE(std::string(everywhere));
        OwnAddresses own;
        REQUIRE(own.add(everywhere));
        for (const char* ip : {"127.0.0.1", "127.3.2.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"}) {
            CAPTURE(std::string(ip));
            CHECK(own.contains(*Address::parse(ip, 5000)));
            CHECK(!own.contains(*Address::parse(ip, 5001)));
        }
        CHECK(!own.contains(*Address::parse("203.0.113.1", 5000)));
    }
}

TEST_CASE("rate limit: a 429 that asks for less does not shorten what another asked for") {
    RateLimit limit;
    Instant begin{1000};
    limit.pause(begin + 1h);
    limit.pause(begin + 10s);
    CHECK(limit.pause_left(begin) == 1h);
    limit.pause(begin + 2h);
    CHECK(limit.pause_left(begin) == 2h);
}

TEST_CASE("upstream table: with little left of a rate limit one refresh a minute is spared, until more is left") {
    auto credential = Credential::make({.name = "set"}), other = Credential::make({.name = "other"});
    auto made = UpstreamTable::make({spec("a.test", {"https://a.test"})}, {});
    REQUIRE(made);
    auto& state = UpstreamTableOfProcess::state_of((*made)->at(0));
    auto& limit = state.limit_of(credential.get());
    auto say = [&](std::string_view remaining, Instant time, UpstreamKind kind = UpstreamKind::manifest_head, int status = 200) {
        ResponseHead head;
        head.status = static_cast<std::uint16_t>(status);
        head.ratelimit_remaining = remaining;
        state.note_rate_limit(kind, limit, head, time);
    };
    Instant time{1000};
    CHECK(limit.spares_refresh(time));
    say("6;w=21600", time);
    CHECK(limit.spares_refresh(time));
    say("5;w=21600", time);
    CHECK_FALSE(limit.spares_refresh(time));
    CHECK(state.limit_of(nullptr).spares_refresh(time));  // others have a limit of their own
    CHECK(state.limit_of(other.get()).spares_refresh(time));
    say("0", time + 30s);  // does not put off the next look
    CHECK_FALSE(limit.spares_refresh(time + 59s));
    CHECK(limit.spares_refresh(time + 60s));
    CHECK_FALSE(limit.spares_refresh(time + 61s));
    say("", time + 61s, UpstreamKind::blob);  // does not speak of it
    say("", time + 61s, UpstreamKind::manifest_head, 429);
    say("junk", time + 61s, UpstreamKind::manifest_head, 429);
    CHECK_FALSE(limit.spares_refresh(time + 62s));
    say("100", time + 62s);
    CHECK(limit.spares_refresh(time + 62s));
    say("1", time + 62s);
    CHECK_FALSE(limit.spares_refresh(time + 63s));
    say("", time + 63s);  // manifests carry it no more: there is no limit now
    CHECK(limit.spares_refresh(time + 63s));
}
