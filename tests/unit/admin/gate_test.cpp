#include "admin/gate.h"

#include "support/run_task.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace entrepot {
namespace {

struct Door {
    Door() {
        REQUIRE(::mkdtemp(directory.data()) != nullptr);
        token.emplace(directory);
        loop.run(token->prepare());
        std::ifstream(directory + "/admin.token") >> right;
        gate.emplace(&*token, 4242);
    }
    ~Door() {
        token.reset();
        std::filesystem::remove_all(directory);
    }
    /// The status of the refusal, or 200.
    int ask(Access access, const Peer& peer, std::string authorization = "", std::string host = "localhost") {
        Gate::Asked asked{.access = access, .host = std::move(host), .authorization = std::move(authorization)};
        return ask(asked, peer);
    }
    int ask(const Gate::Asked& asked, const Peer& peer) {
        last = loop.run(gate->refuse(asked, peer));
        return last ? last->status : 200;
    }

    TestLoop loop;
    std::string directory = "/tmp/gate-XXXXXX", right;
    std::optional<AdminToken> token;
    std::optional<Gate> gate;
    std::optional<ApiReply> last;
};

Peer from(std::string_view ip) {
    Peer peer;
    peer.address = *Address::parse(ip, 40000);
    return peer;
}
Peer process(uid_t user, gid_t group, std::vector<gid_t> more = {}) {
    Peer peer;
    peer.is_unix = true;
    peer.user = user;
    peer.group = group;
    peer.more_groups = std::move(more);
    return peer;
}

}  // namespace

TEST_CASE("gate: who may ask what, from where, with and without the token") {
    Door door;
    const auto bearer = "Bearer " + door.right;
    struct Row {
        Peer peer;
        int anybody, read, change, change_with_token;
    };
    const auto nobody = static_cast<uid_t>(65534);
    for (auto& row : {
             Row{from("127.0.0.1"), 200, 200, 401, 200},
             Row{from("127.8.8.8"), 200, 200, 401, 200},
             Row{from("::1"), 200, 200, 401, 200},
             Row{from("::ffff:127.0.0.1"), 200, 200, 401, 200},
             Row{from("10.0.0.1"), 200, 401, 401, 200},
             Row{from("192.0.2.1"), 200, 401, 401, 200},
             Row{from("fe80::1"), 200, 401, 401, 200},
             Row{from("::ffff:10.0.0.1"), 200, 401, 401, 200},
             Row{Peer(), 200, 401, 401, 200},  // gone before it could be asked about
             Row{process(0, 0), 200, 200, 200, 200},
             Row{process(::geteuid(), 1), 200, 200, 200, 200},
             Row{process(nobody, 4242), 200, 200, 200, 200},
             Row{process(nobody, 1, {7, 4242}), 200, 200, 200, 200},
             Row{process(nobody, 1, {7, 8}), 200, 200, 403, 200},
         }) {
        CAPTURE(row.peer.text());
        CHECK(door.ask(Access::anybody, row.peer) == row.anybody);
        CHECK(door.ask(Access::read, row.peer) == row.read);
        CHECK(door.ask(Access::change, row.peer) == row.change);
        CHECK(door.ask(Access::read, row.peer, bearer) == 200);
        CHECK(door.ask(Access::change, row.peer, bearer) == row.change_with_token);
    }
}

TEST_CASE("gate: a wrong token, another scheme and half a header are no token; the answer says what is wanted") {
    Door door;
    const auto here = from("127.0.0.1");
    for (auto authorization : {std::string("Bearer"), std::string("Bearer "), std::string("Basic ") + door.right, door.right,
                               std::string("Bearer,") + door.right}) {
        CAPTURE(authorization);
        CHECK(door.ask(Access::change, here, authorization) == 401);
        CHECK(door.last->fields.front().first == "WWW-Authenticate");
        CHECK(door.last->fields.front().second == "Bearer");
    }
    CHECK(door.ask(Access::change, here, "bearer  " + door.right) == 200);
    CHECK(door.ask(Access::change, here, "Bearer " + door.right + "x") == 401);
    CHECK(door.last->fields.front().second == "Bearer error=\"invalid_token\"");
    CHECK(door.last->json.dump().find(door.right) == std::string::npos);
}

TEST_CASE("gate: a file that cannot be trusted lets nobody in, and says no more than where to look") {
    Door door;
    std::filesystem::permissions(door.directory + "/admin.token", std::filesystem::perms(0644));
    CHECK(door.ask(Access::change, from("127.0.0.1"), "Bearer " + door.right) == 403);
    CHECK(door.last->json["error"]["code"] == "TokenUnusable");
    CHECK(door.ask(Access::change, process(0, 0)) == 200);
    Gate without(nullptr, std::nullopt);
    Gate::Asked asked{.access = Access::change, .host = "localhost", .authorization = "Bearer " + door.right};
    CHECK(door.loop.run(without.refuse(asked, from("127.0.0.1")))->status == 403);
    CHECK_FALSE(door.loop.run(without.refuse(asked, process(0, 0))));
}

TEST_CASE("gate: only addresses and localhost are Hosts, whatever a browser was made to believe; the token vouches for others") {
    Door door;
    const auto here = from("127.0.0.1");
    for (auto host : {"localhost", "localhost:5001", "127.0.0.1:5001", "[::1]:5001", "[::1]", "10.1.2.3", ""}) {
        CAPTURE(host);
        CHECK(door.ask(Access::read, here, "", host) == 200);
    }
    for (auto host :
         {"evil.example", "127.0.0.1.evil.example:5001", "localhost.evil.example", "localhost.", "0x7f000001", "127.1"}) {
        CAPTURE(host);
        CHECK(door.ask(Access::anybody, here, "", host) == 403);
        CHECK(door.ask(Access::read, here, "", host) == 403);
        CHECK(door.ask(Access::change, process(0, 0), "", host) == 403);
        CHECK(door.ask(Access::read, here, "Bearer wrong", host) == 401);
        CHECK(door.ask(Access::change, here, "Bearer " + door.right, host) == 200);
    }
}

TEST_CASE("gate: no page but our own may change anything, not even with a right of its reader") {
    Door door;
    struct Row {
        std::string origin, site;
        int status;
    };
    for (auto& row : {Row{"", "", 200}, Row{"http://localhost:5001", "same-origin", 200}, Row{"https://localhost:5001", "", 200},
                      Row{"", "none", 200}, Row{"http://localhost:5002", "", 403}, Row{"http://localhost", "", 403},
                      Row{"http://evil.example", "", 403}, Row{"null", "", 403},
                      Row{"http://localhost:5001.evil.example", "", 403}, Row{"localhost:5001", "", 403},
                      Row{"", "cross-site", 403}, Row{"", "same-site", 403}, Row{"http://localhost:5001", "cross-site", 403}}) {
        CAPTURE(row.origin);
        CAPTURE(row.site);
        Gate::Asked asked{.access = Access::change, .host = "localhost:5001", .origin = row.origin, .fetch_site = row.site};
        CHECK(door.ask(asked, process(0, 0)) == row.status);
        asked.authorization = "Bearer " + door.right;
        CHECK(door.ask(asked, from("127.0.0.1")) == row.status);
        asked.access = Access::read;
        asked.authorization.clear();
        CHECK(door.ask(asked, from("127.0.0.1")) == 200);
    }
}

TEST_CASE("gate: wrong tokens are told ever later, a right one never is, and a source that guesses in parallel is turned away") {
    Door door;
    const auto guesser = from("10.0.0.1");
    auto begun = now();
    for (int i = 0; i < 4; ++i) CHECK(door.ask(Access::read, guesser, "Bearer wrong") == 401);
    auto took = now() - begun;
    CHECK(took >= WrongTokens::wait_first * 15);  // 1 + 2 + 4 + 8
    begun = now();
    CHECK(door.ask(Access::change, guesser, "Bearer " + door.right) == 200);
    CHECK(door.ask(Access::change, from("127.0.0.1"), "Bearer " + door.right) == 200);
    CHECK(now() - begun < WrongTokens::wait_first * 4);

    Gate::Asked asked{.access = Access::read, .host = "localhost", .authorization = "Bearer wrong"};
    std::vector<Task<std::optional<ApiReply>>> waiting;
    for (std::size_t i = 0; i < WrongTokens::waiting_of_source_max; ++i) waiting.push_back(door.gate->refuse(asked, guesser));
    door.loop.run_for(milliseconds(20));
    CHECK(door.ask(Access::read, guesser, "Bearer wrong") == 429);
    CHECK(door.last->fields.front().first == "Retry-After");
    CHECK(door.ask(Access::read, guesser, "Bearer " + door.right) == 200);
    CHECK(door.ask(Access::read, from("10.0.0.2"), "Bearer wrong") == 401);
    for (auto& task : waiting) CHECK(door.loop.run(std::move(task))->status == 401);
}

TEST_CASE("gate: who guesses from many addresses fills no memory, and a network of IPv6 is one source") {
    TestLoop loop;
    WrongTokens wrong;
    TaskGroup guesses;
    std::size_t turned_away = 0;
    for (unsigned i = 0; i < WrongTokens::waiting_max; ++i) {
        auto task = wrong.wait(from("10.0.0." + std::to_string(i)));
        REQUIRE_FALSE(task.done());
        guesses.start([](Task<bool> waited) -> Task<void> { (void)co_await waited; }(std::move(task)));
    }
    for (unsigned i = 0; i < 2 * WrongTokens::sources_max; ++i)
        turned_away += !loop.run(wrong.wait(from("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256))));
    CHECK(turned_away == 2 * WrongTokens::sources_max);
    CHECK(wrong.sources() == WrongTokens::sources_max);
    loop.finish(guesses);
    auto before = wrong.sources();
    CHECK(loop.run(wrong.wait(from("2001:db8::1"))));
    CHECK(loop.run(wrong.wait(from("2001:db8::2"))));
    CHECK(wrong.sources() <= before + 1);
}

}  // namespace entrepot
