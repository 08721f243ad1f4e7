#include "entrepot/control/control.h"

#include "store/store_box.h"

#include <doctest/doctest.h>

namespace entrepot {
namespace {

Config config_of(const std::string& text = "[server]\ndefault_rules = false\n") {
    auto config = Config::parse(text, "e.toml");
    if (!config) FAIL(config.error());
    return *std::move(config);
}

AnyChange rule_change(const std::string& name, const std::string& target, const std::string& source = "quay.io/x/a",
                      const std::string& credential_set = "") {
    Change<RuleText> change{name, {}, {}};
    change.edit = [=](const RuleText* before) -> Result<std::optional<RuleText>, std::string> {
        RuleText rule = before ? *before : RuleText();
        rule.target = target;
        rule.source = source;
        rule.credential_set = credential_set;
        if (!credential_set.empty()) rule.pull = {"anonymous"};
        return std::optional(rule);
    };
    return change;
}

AnyChange set_change(const std::string& name, const std::string& file) {
    Change<CredentialSet> change{name, {}, {}};
    change.edit = [=](const CredentialSet*) -> Result<std::optional<CredentialSet>, std::string> {
        CredentialSet set;
        set.login_server = "quay.io";
        set.primary = {{SecretKind::file, file}, {SecretKind::file, file}};
        return std::optional(set);
    };
    return change;
}

/// A control over a real ledger and a real table of upstreams, and what was published.
struct ControlBox {
    explicit ControlBox(Config with = config_of(), std::uint64_t map_bytes = 64 * MiB) : config(std::move(with)), map(map_bytes) {
        open();
    }
    ~ControlBox() { control.reset(); }

    void open() {
        control.reset();
        upstreams.reset();
        ledger.reset();
        Ledger::Options options;
        options.directory = scratch.path() + "/ledger";
        options.map_bytes = map;
        auto opened = Ledger::open(options);
        if (!opened) FAIL(opened.error());
        ledger = *std::move(opened);
        auto table = UpstreamTable::make({}, {});
        if (!table) FAIL(table.error());
        upstreams = *std::move(table);
        auto made = Control::open(config, *ledger, *upstreams);
        if (!made) FAIL(made.error());
        control = *std::move(made);
        control->set_publish([this](std::shared_ptr<const Routing> routing) { return publish(std::move(routing)); });
        published = control->routing();
    }
    Task<void> publish(std::shared_ptr<const Routing> routing) {
        published = std::move(routing);
        ++publications;
        co_return;
    }
    template <typename... Changes>
    Result<Outcome, Refusal> change(Changes... changes) {
        Batch batch;
        (batch.changes.push_back(std::move(changes)), ...);
        return loop.run(control->change(std::move(batch)));
    }
    /// The repository that a request for `path` leads to, "" for none.
    std::string leads_to(std::string_view path) const {
        auto found = published->find(path, "");
        return found ? found->source.ledger_name : std::string();
    }

    Config config;
    std::uint64_t map;
    ScratchDirectory scratch;
    TestLoop loop;
    RunningLanes lanes;
    std::unique_ptr<Ledger> ledger;
    std::unique_ptr<UpstreamTable> upstreams;
    std::unique_ptr<Control> control;
    std::shared_ptr<const Routing> published;
    int publications = 0;
};

Task<void> change_and_count(Control& control, int number, int& done) {
    Batch batch;
    batch.changes.push_back(rule_change("rule-" + std::to_string(number), "t" + std::to_string(number)));
    auto made = co_await control.change(std::move(batch));
    if (made) ++done;
}

Task<bool> all_of(TaskGroup& group) {
    co_await group.close();
    co_return true;
}

}  // namespace

TEST_CASE("control: a change is seen by requests when it is answered, and by the next process") {
    ControlBox box;
    CHECK(box.leads_to("images") == "");
    REQUIRE(box.change(set_change("login", "/etc/secret"), rule_change("first", "images", "quay.io/x/a", "login")));
    CHECK(box.publications == 1);
    CHECK(box.leads_to("images") == "quay.io/x/a");
    CHECK(box.published->find("images", "")->source.credential->name() == "login");
    auto scope = box.published->find("images", "")->source.scope();
    box.open();
    CHECK(box.leads_to("images") == "quay.io/x/a");
    CHECK(box.published->find("images", "")->source.scope() == scope);
    REQUIRE(box.change(rule_change("first", "images", "ghcr.io/y/b")));
    CHECK(box.leads_to("images") == "ghcr.io/y/b");
}

TEST_CASE("control: nothing is published, kept or left behind by what is refused, tried, or no change") {
    ControlBox box;
    REQUIRE(box.change(rule_change("first", "images")));
    auto etag = box.control->state().etag();
    CHECK_FALSE(box.change(rule_change("other", "images")));
    Batch dry;
    dry.dry_run = true;
    dry.changes.push_back(rule_change("other", "more"));
    auto tried = box.loop.run(box.control->change(std::move(dry)));
    REQUIRE(tried);
    CHECK(tried->steps[0].action == Step::Action::create);
    CHECK(box.change(rule_change("first", "images"))->steps[0].action == Step::Action::unchanged);
    CHECK(box.publications == 1);
    CHECK(box.control->state().etag() == etag);
    CHECK(box.ledger->commits().transactions == 1);
}

TEST_CASE("control: a login server becomes known by a change that is made, not by one that is tried or refused") {
    ControlBox box;
    auto count = box.upstreams->count();
    auto tries = [&](int rules) {
        Batch dry;
        dry.dry_run = true;
        for (int i = 0; i < rules; ++i) {
            auto number = std::to_string(i);
            dry.changes.push_back(rule_change("rule-" + number, "t" + number, "host-" + number + ".test/a"));
        }
        return box.loop.run(box.control->change(std::move(dry)));
    };
    REQUIRE(tries(3));
    REQUIRE(tries(500));  // a large one goes another way
    CHECK(box.upstreams->count() == count);
    auto too_many = tries(10'001);
    REQUIRE_FALSE(too_many);
    CHECK(too_many.error().code == "SourceNotAllowed");
    CHECK(box.upstreams->count() == count);
    REQUIRE(box.change(rule_change("first", "t", "host.test/a")));
    CHECK(box.upstreams->count() == count + 1);
}

TEST_CASE("control: credentials that did not change keep their object") {
    ControlBox box;
    REQUIRE(box.change(set_change("login", "/etc/secret"), set_change("other", "/etc/other")));
    auto login = box.control->find_credential("login"), other = box.control->find_credential("other");
    REQUIRE(box.change(set_change("other", "/etc/new")));
    CHECK(box.control->find_credential("login") == login);
    CHECK(box.control->find_credential("other") != other);
    CHECK(box.control->find_credential("other")->scope() != other->scope());
    CHECK_FALSE(box.control->find_credential("nobody"));
}

TEST_CASE("control: who deletes an account is told which rules still name it") {
    ControlBox box;
    auto rule = [](const std::string& name, const std::string& puller) {
        Change<RuleText> change{name, {}, {}};
        change.edit = [=](const RuleText*) -> Result<std::optional<RuleText>, std::string> {
            RuleText text;
            text.source = "quay.io/x/" + name;
            text.target = name;
            text.pull = {puller};
            return std::optional(text);
        };
        return change;
    };
    auto account = [](const std::string& name, bool stays) {
        Change<Account> change{name, {}, {}};
        change.edit = [=](const Account* before) -> Result<std::optional<Account>, std::string> {
            if (!stays) return std::optional<Account>();
            Account made = before ? *before : Account();
            made.kind = AccountKind::token;
            made.hash = "sha256:" + std::string(64, 'a');
            std::vector<std::string> everything{"**"};
            made.repositories = *parse_repository_patterns(everything);
            return std::optional(made);
        };
        return change;
    };
    REQUIRE(box.change(account("alice", true), account("bobby", true)));
    REQUIRE(box.change(rule("first", "alice"), rule("second", "alice")));
    Batch dry;
    dry.dry_run = true;
    dry.changes.push_back(account("alice", false));
    auto told = box.loop.run(box.control->change(std::move(dry)));
    REQUIRE(told);
    REQUIRE(told->notes.size() == 1);
    CHECK(
        told->notes[0] ==
        "cache rules \"first\", \"second\" still name account \"alice\": whoever is created by that name may pull through them");
    CHECK(box.change(account("bobby", false))->notes.empty());
    // With one of its rules in the same batch, only the other keeps the name.
    Change<RuleText> gone{"second", {}, {}};
    gone.edit = [](const RuleText*) -> Result<std::optional<RuleText>, std::string> { return std::optional<RuleText>(); };
    auto made = box.change(account("alice", false), gone);
    REQUIRE(made);
    REQUIRE(made->notes.size() == 1);
    CHECK(made->notes[0] ==
          "cache rule \"first\" still names account \"alice\": whoever is created by that name may pull through it");
}

TEST_CASE("control: a ledger that cannot keep a change leaves everything as it was, small or large") {
    ControlBox box(config_of(), 1 * MiB);
    REQUIRE(box.change(rule_change("first", "images")));
    auto etag = box.control->state().etag();
    Batch large;
    for (int i = 0; i < 4000; ++i) large.changes.push_back(rule_change("rule-" + std::to_string(i), "t" + std::to_string(i)));
    auto refused = box.loop.run(box.control->change(std::move(large)));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == Refusal::Kind::storage);
    CHECK(refused.error().message.find("nothing has changed") != std::string::npos);
    CHECK(box.control->state().etag() == etag);
    CHECK(box.leads_to("t5") == "");
    Batch wide;  // few changes, too many bytes
    for (int i = 0; i < 20; ++i) {
        Change<RuleText> change{"wide-" + std::to_string(i), {}, {}};
        change.edit = [i](const RuleText*) -> Result<std::optional<RuleText>, std::string> {
            RuleText rule;
            rule.source = "quay.io/x/a";
            rule.target = "w" + std::to_string(i);
            for (std::size_t n = 0; n < rule_pullers_max; ++n) rule.pull.push_back(std::string(100, 'p') + std::to_string(n));
            return std::optional(rule);
        };
        wide.changes.push_back(change);
    }
    CHECK_FALSE(box.loop.run(box.control->change(std::move(wide))));
    CHECK(box.control->state().etag() == etag);
    CHECK(box.leads_to("w5") == "");
    CHECK(box.publications == 1);
    REQUIRE(box.change(rule_change("second", "more")));
    CHECK(box.leads_to("images") == "quay.io/x/a");
    CHECK(box.leads_to("more") == "quay.io/x/a");
}

TEST_CASE("control: changes that come together share a commit and a snapshot, and all are made") {
    ControlBox box;
    TaskGroup group;
    int done = 0;
    constexpr int changes = 500;
    for (int i = 0; i < changes; ++i) group.start(change_and_count(*box.control, i, done));
    box.loop.run(all_of(group));
    CHECK(done == changes);
    CHECK(box.publications <= 3);
    for (int i = 0; i < changes; i += 99) CHECK(box.leads_to("t" + std::to_string(i)) == "quay.io/x/a");
    box.open();
    CHECK(box.control->state().book().size() == changes);
}

TEST_CASE("control: more changes than may wait are told to come again") {
    ControlBox box;
    TaskGroup group;
    int done = 0;
    constexpr int changes = static_cast<int>(Control::waiting_max) + 40;
    for (int i = 0; i < changes; ++i) group.start(change_and_count(*box.control, i, done));
    box.loop.run(all_of(group));
    CHECK(done < changes);
    CHECK(done >= static_cast<int>(Control::waiting_max));
    CHECK(box.control->state().book().size() == static_cast<std::size_t>(done));
    REQUIRE(box.change(rule_change("after", "after")));
}

TEST_CASE("control: a large batch is one thing among small ones") {
    ControlBox box;
    TaskGroup group;
    int done = 0;
    for (int i = 0; i < 10; ++i) group.start(change_and_count(*box.control, i, done));
    Batch large;
    for (int i = 100; i < 1100; ++i) large.changes.push_back(rule_change("rule-" + std::to_string(i), "t" + std::to_string(i)));
    auto batch = box.control->change(std::move(large));
    for (int i = 10; i < 20; ++i) group.start(change_and_count(*box.control, i, done));
    auto made = box.loop.run(std::move(batch));
    REQUIRE(made);
    CHECK(made->steps.size() == 1000);
    box.loop.run(all_of(group));
    CHECK(done == 20);
    CHECK(box.control->state().book().size() == 1020);
    box.open();
    CHECK(box.control->state().book().size() == 1020);
}

TEST_CASE("control: a file that is read again replaces the file's part, and what it forbids waits aside") {
    ControlBox box(config_of("[[cache_rule]]\nname = \"old\"\nsource = \"quay.io/*\"\ntarget = \"old/*\"\n"));
    REQUIRE(box.change(rule_change("mine-1", "mine"), rule_change("mine-2", "new/x/*", "quay.io/z/*")));
    auto next = config_of("[[cache_rule]]\nname = \"new\"\nsource = \"ghcr.io/*\"\ntarget = \"new/*\"\n");
    REQUIRE(box.loop.run(box.control->reload(next)));
    CHECK(box.leads_to("old/a/b") == "");
    CHECK(box.leads_to("new/a/b") == "ghcr.io/a/b");
    CHECK(box.leads_to("mine") == "quay.io/x/a");
    CHECK(box.leads_to("new/x/c") == "ghcr.io/x/c");
    CHECK(box.control->state().problem_of("mine-2").find("\"new\"") != std::string::npos);
    REQUIRE(box.loop.run(box.control->reload(config_of())));
    CHECK(box.leads_to("new/x/c") == "quay.io/z/c");  // back as soon as the file allows it
    CHECK(box.control->state().problem_of("mine-2").empty());
}

}  // namespace entrepot
