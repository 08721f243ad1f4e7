#include "entrepot/access/doorkeeper.h"

#include "entrepot/access/password.h"
#include "entrepot/access/token_secret.h"
#include "entrepot/base/base64.h"

#include "support/run_task.h"

using namespace entrepot;

namespace {

constexpr std::uint64_t here = 1, there = 2;

struct Lanes {
    Lanes() { start_lanes(); }
    ~Lanes() { stop_lanes(); }
};

/// A desk and a doorkeeper on one loop, and two accounts: alice with a password, the robot with a token.
struct Door {
    explicit Door(LoginDesk::Options options = {}) : desk(options), keeper(desk, key) {
        desk.set_home(*loop);
        accounts = *AccountTable::build(
            {account("alice", *hash_password("correct horse")), account("robot", hash_token_secret(secret))});
    }

    static std::shared_ptr<const Account> account(std::string name, std::string hash, std::int64_t expires = 0) {
        auto made = std::make_shared<Account>();
        made->name = std::move(name);
        made->kind = hash.starts_with("sha256:") ? AccountKind::token : AccountKind::password;
        made->hash = std::move(hash);
        made->repositories = *parse_repository_patterns({"**"});
        made->expires = expires;
        return made;
    }
    static std::string basic(std::string_view user, std::string_view password) {
        return "Basic " + base64(std::string(user) + ":" + std::string(password));
    }

    Visitor ask(const std::string& field, std::uint64_t source = here) {
        return loop.run(keeper.recognise(accounts, field, source));
    }

    Lanes lanes;
    TestLoop loop;
    TokenKey key = make_token_key();
    std::string secret = make_token_secret();
    LoginDesk desk;
    Doorkeeper keeper;
    std::shared_ptr<const AccountTable> accounts;
};

using Standing = Visitor::Standing;

}  // namespace

TEST_CASE("doorkeeper: knows who shows the right password, token secret or pull token, and nobody else") {
    Door door;
    CHECK(door.ask("").standing == Standing::nobody);
    auto alice = door.ask(Door::basic("alice", "correct horse"));
    CHECK(alice.standing == Standing::known);
    CHECK(alice.account->name == "alice");
    auto robot = door.ask(Door::basic("robot", door.secret));
    CHECK(robot.account->name == "robot");
    for (auto& field :
         {Door::basic("alice", "wrong horse"), Door::basic("bob", "correct horse"), Door::basic("", "correct horse"),
          Door::basic("alice", ""), Door::basic("alice", door.secret), Door::basic("robot", "correct horse"),
          Door::basic("robot", make_token_secret()), Door::basic("nobody", door.secret),
          Door::basic("alice", std::string(5000, 'x')), std::string("Bearer x.y.z"), std::string("Digest x")}) {
        CAPTURE(field);
        auto visitor = door.ask(field);
        CHECK(visitor.standing == Standing::refused);
        CHECK(visitor.account == nullptr);
    }
    auto token = door.ask("Bearer " + door.keeper.token_for(alice, {"hub/app"}));
    CHECK(token.account->name == "alice");
    CHECK(token.token->names("hub/app"));
    auto anybody = door.ask("Bearer " + door.keeper.token_for(Visitor(), {"hub/app"}));
    CHECK(anybody.standing == Standing::known);
    CHECK(anybody.account == nullptr);
}

TEST_CASE("doorkeeper: a token ends with its account, with the account's password, and with the account's time") {
    Door door;
    auto alice = door.ask(Door::basic("alice", "correct horse"));
    auto field = "Bearer " + door.keeper.token_for(alice, {"hub/app"});
    CHECK(door.ask(field).standing == Standing::known);
    auto before = door.accounts;
    door.accounts = before->without("alice");
    CHECK(door.ask(field).standing == Standing::refused);
    door.accounts = *before->with(Door::account("alice", *hash_password("another horse")));
    CHECK(door.ask(field).standing == Standing::refused);
    // And so does a login that was verified a moment ago.
    CHECK(door.ask(Door::basic("alice", "correct horse")).standing == Standing::refused);
    door.accounts = *before->with(Door::account("alice", before->find("alice")->hash, 1));
    CHECK(door.ask(field).standing == Standing::refused);
    CHECK(door.ask(Door::basic("alice", "correct horse")).standing == Standing::refused);
    door.accounts = before;
    CHECK(door.ask(field).standing == Standing::known);
}

TEST_CASE("login desk: a pull of forty layers hashes once, and forty at once share one hash") {
    Door door;
    auto field = Door::basic("alice", "correct horse");
    std::vector<Task<Visitor>> asking;
    for (int i = 0; i < 40; ++i) asking.push_back(door.keeper.recognise(door.accounts, field, here));
    for (auto& task : asking) CHECK(door.loop.run(std::move(task)).standing == Standing::known);
    auto after_first = door.desk.counters().right.value();
    for (int i = 0; i < 40; ++i) CHECK(door.ask(field).standing == Standing::known);
    // Verified a moment ago on this shard: the desk was not even asked.
    CHECK(door.desk.counters().right.value() == after_first);
    CHECK(after_first == 40);
}

TEST_CASE("login desk: who tries in vain is limited where he is, and what was verified is still right") {
    LoginDesk::Options options;
    options.limits.account = {3, seconds(3600)};
    Door door(options);
    CHECK(door.ask(Door::basic("alice", "correct horse")).standing == Standing::known);
    for (int i = 0; i < 3; ++i) CHECK(door.ask(Door::basic("alice", "wrong " + std::to_string(i))).standing == Standing::refused);
    auto limited = door.ask(Door::basic("alice", "wrong again"));
    CHECK(limited.standing == Standing::too_many_tries);
    CHECK(limited.retry_after > Duration(0));
    CHECK(door.ask(Door::basic("alice", "correct horse")).standing == Standing::known);
    CHECK(door.ask(Door::basic("alice", "wrong again"), there).standing == Standing::refused);
    CHECK(door.ask(Door::basic("robot", door.secret)).standing == Standing::known);
    // Unknown names are limited alike.
    for (int i = 0; i < 3; ++i) CHECK(door.ask(Door::basic("bob", "wrong")).standing == Standing::refused);
    CHECK(door.ask(Door::basic("bob", "wrong")).standing == Standing::too_many_tries);
    CHECK(door.desk.counters().too_many_tries.value() == 2);
}

TEST_CASE("login desk: at its bound the answer is busy, at once, and later all is well") {
    LoginDesk::Options options;
    options.checks_max = 2;
    options.sharing_max = 1;
    Door door(options);
    std::vector<Task<Visitor>> asking;
    for (auto password : {"wrong 1", "wrong 2", "wrong 3", "wrong 1", "wrong 2"}) {
        auto field = std::make_shared<std::string>(Door::basic("alice", password));
        asking.push_back(door.keeper.recognise(door.accounts, *field, here));
    }
    int busy = 0, refused = 0;
    for (auto& task : asking) {
        auto standing = door.loop.run(std::move(task)).standing;
        busy += standing == Standing::busy;
        refused += standing == Standing::refused;
    }
    CHECK(busy == 2);
    CHECK(refused == 3);
    CHECK(door.ask(Door::basic("alice", "correct horse")).standing == Standing::known);
}

TEST_CASE("doorkeeper: of one shard so many wait for the desk, further ones are told to come again") {
    Lanes lanes;
    TestLoop loop;
    LoginDesk desk;
    desk.set_home(*loop);
    auto key = make_token_key();
    Doorkeeper::Options options;
    options.waiting_max = 1;
    Doorkeeper keeper(desk, key, options);
    auto accounts = AccountTable::empty();
    auto one = Door::basic("alice", "wrong 1"), two = Door::basic("alice", "wrong 2");
    auto first = keeper.recognise(accounts, one, here), second = keeper.recognise(accounts, two, here);
    CHECK(loop.run(std::move(second)).standing == Standing::busy);
    CHECK(loop.run(std::move(first)).standing == Standing::refused);
    CHECK(loop.run(keeper.recognise(accounts, two, here)).standing == Standing::refused);
}
