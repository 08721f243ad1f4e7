#include "entrepot/control/operator_state.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

using namespace entrepot;

namespace {

constexpr std::int64_t wall = 1'800'000'000;

Config config_of(const std::string& text = "[server]\ndefault_rules = false\n") {
    auto config = Config::parse(text, "e.toml");
    if (!config) FAIL(config.error());
    return *std::move(config);
}

AnyChange put_rule(const std::string& name, const std::string& target, const std::string& source, std::string credential_set = "",
                   Precondition when = {}) {
    Change<RuleText> change{name, std::move(when), {}};
    change.edit = [=](const RuleText* before) -> Result<std::optional<RuleText>, std::string> {
        RuleText rule = before ? *before : RuleText();
        rule.target = target;
        rule.source = source;
        rule.credential_set = credential_set;
        return std::optional(rule);
    };
    return change;
}

AnyChange put_set(const std::string& name, const std::string& login_server, const std::string& file = "/etc/secret") {
    Change<CredentialSet> change{name, {}, {}};
    change.edit = [=](const CredentialSet* before) -> Result<std::optional<CredentialSet>, std::string> {
        CredentialSet set = before ? *before : CredentialSet();
        set.login_server = login_server;
        set.primary = {{SecretKind::file, file}, {SecretKind::file, file}};
        return std::optional(set);
    };
    return change;
}

template <typename Value>
AnyChange remove(const std::string& name, Precondition when = {}) {
    return Change<Value>{name, std::move(when),
                         [](const Value*) -> Result<std::optional<Value>, std::string> { return std::optional<Value>(); }};
}

/// "" or the code of the refusal.
template <typename... Changes>
std::string stage(OperatorState& state, Changes... changes) {
    Batch batch;
    (batch.changes.push_back(std::move(changes)), ...);
    auto staged = state.stage(batch, wall);
    if (!staged) CHECK_FALSE(staged.error().message.empty());
    return staged ? "" : staged.error().code;
}

std::string names(const OperatorState& state) {
    std::string names;
    for (const auto* rule : state.rules_after("", 1000)) names += rule->name + " ";
    return names;
}

}  // namespace

TEST_CASE("operator state: rules come, change and go, and each refusal has its code") {
    OperatorState state(config_of());
    CHECK(stage(state, put_rule("first", "a", "quay.io/x/a")) == "");
    CHECK(state.find_rule("first")->created == wall);
    CHECK(state.find_rule("first")->origin == RuleOrigin::api);
    CHECK(stage(state, put_rule("official", "ubuntu", "docker.io/ubuntu")) == "");
    CHECK(state.find_rule("official")->source == "docker.io/library/ubuntu");
    CHECK(stage(state, put_rule("first", "b", "quay.io/x/a")) == "");  // ACR cannot
    CHECK(state.find_rule("first")->target == "b");

    CHECK(stage(state, put_rule("four", "c", "quay.io/x/a")) == "RuleInvalid");  // a short name
    CHECK(stage(state, put_rule("under_score", "c", "quay.io/x/a")) == "RuleInvalid");
    CHECK(stage(state, put_rule("second", "c", "quay.io/x/a:latest")) == "RuleInvalid");
    CHECK(stage(state, put_rule("second", "b", "quay.io/x/a")) == "RuleTargetTaken");
    CHECK(stage(state, put_rule("wilde", "w/*", "quay.io/x/*"), put_rule("wilder", "w/v/*", "quay.io/y/*")) == "RuleOverlap");
    CHECK(stage(state, put_rule("second", "c", "127.0.0.1:5000/x")) == "SourceNotAllowed");
    CHECK(stage(state, put_rule("second", "c", "quay.io/x/a", "nobody")) == "CredentialSetNotFound");
    CHECK(stage(state, put_rule("first", "b", "quay.io/x/a", "", {.must_not_exist = true})) == "AlreadyExists");
    CHECK(stage(state, remove<RuleText>("second", {.must_exist = true})) == "NotFound");
    CHECK(stage(state, put_rule("first", "d", "quay.io/x/a"), put_rule("first", "e", "quay.io/x/a")) == "NamedTwice");
    CHECK(names(state) == "first official ");
    CHECK(stage(state, remove<RuleText>("first", {.must_exist = true})) == "");
    CHECK(names(state) == "official ");
}

TEST_CASE("operator state: a batch is true as a whole or not at all") {
    OperatorState state(config_of());
    REQUIRE(stage(state, put_set("login", "quay.io"), put_rule("first", "a", "quay.io/x/a", "login"),
                  put_rule("other", "b", "quay.io/x/b")) == "");
    const auto etag = state.etag();
    const auto rules = names(state);
    CHECK(stage(state, put_rule("first", "z", "quay.io/x/z"), remove<RuleText>("other"), put_set("login", "ghcr.io"),
                put_rule("third", "z", "quay.io/x/a")) == "RuleTargetTaken");
    CHECK(state.etag() == etag);
    CHECK(names(state) == rules);
    CHECK(state.find_rule("first")->target == "a");
    CHECK(state.find_credential_set("login")->login_server == "quay.io");
    // Within a batch rules may trade targets, and a set may go together with its last user.
    CHECK(stage(state, put_rule("first", "b", "quay.io/x/a", "login"), put_rule("other", "a", "quay.io/x/b")) == "");
    CHECK(stage(state, remove<CredentialSet>("login")) == "CredentialSetInUse");
    CHECK(stage(state, put_set("login", "ghcr.io")) == "CredentialSetInUse");
    CHECK(stage(state, put_set("login", "quay.io", "/etc/other")) == "");
    CHECK(stage(state, remove<RuleText>("first"), remove<CredentialSet>("login")) == "");
    CHECK(names(state) == "other ");
}

TEST_CASE("operator state: what was staged can be undone, step by step") {
    OperatorState state(config_of());
    REQUIRE(stage(state, put_set("login", "quay.io"), put_rule("first", "a", "quay.io/x/a", "login")) == "");
    const auto etag = state.etag();
    Batch batch;
    batch.changes = {put_rule("first", "c", "quay.io/x/a"), remove<CredentialSet>("login"),
                     put_rule("second", "a", "quay.io/x/a")};
    auto staged = state.stage(batch, wall);
    REQUIRE(staged);
    CHECK(staged->keep.size() == 3);
    CHECK(state.etag() != etag);
    OperatorState::undo(*staged);
    CHECK(state.etag() == etag);
    CHECK(names(state) == "first ");
    CHECK(state.find_rule("first")->credential_set == "login");
    CHECK(state.find_credential_set("login"));
}

TEST_CASE("operator state: nobody overwrites what he has not seen") {
    OperatorState state(config_of());
    REQUIRE(stage(state, put_rule("first", "a", "quay.io/x/a")) == "");
    const auto seen = etag_of(*state.find_rule("first")), all = state.etag();
    CHECK(stage(state, put_rule("first", "b", "quay.io/x/a", "", {.etag = seen})) == "");
    CHECK(stage(state, put_rule("first", "c", "quay.io/x/a", "", {.etag = seen})) == "Changed");
    CHECK(stage(state, remove<RuleText>("first", {.etag = seen})) == "Changed");
    CHECK(stage(state, put_rule("later", "d", "quay.io/x/a", "", {.etag = seen})) == "Changed");
    Batch batch;
    batch.state_etag = all;
    CHECK(state.stage(batch, wall).error().code == "Changed");
    batch.state_etag = state.etag();
    CHECK(state.stage(batch, wall));
}

TEST_CASE("operator state: what the file and the defaults say is read-only, and saying the same again is no change") {
    OperatorState state(
        config_of("[[credential_set]]\nname = \"hub\"\nlogin_server = \"docker.io\"\nusername = \"env:U\"\npassword = \"env:P\"\n"
                  "[[cache_rule]]\nname = \"hub\"\nsource = \"docker.io/*\"\ntarget = \"docker.io/*\"\npull = [\"anonymous\"]\n"
                  "credential_set = \"hub\"\n"));
    CHECK(stage(state, remove<RuleText>("hub")) == "ReadOnly");
    CHECK(stage(state, remove<CredentialSet>("hub")) == "ReadOnly");
    CHECK(stage(state, put_rule("hub", "other/*", "docker.io/*", "hub")) == "ReadOnly");
    Batch same;
    same.changes.push_back(put_rule("hub", "docker.io/*", "docker.io/*", "hub"));
    auto staged = state.stage(same, wall);
    REQUIRE(staged);
    CHECK(staged->outcome.steps[0].action == Step::Action::unchanged);
    CHECK(staged->keep.empty());
    CHECK(stage(state, put_rule("inner", "docker.io/library/*", "mcr.microsoft.com/*")) == "RuleOverlap");

    OperatorState defaults(config_of(""));
    CHECK(stage(defaults, remove<RuleText>("docker-io")) == "ReadOnly");
    Batch batch;
    batch.changes.push_back(put_rule("inner", "docker.io/library/*", "mcr.microsoft.com/*"));
    CHECK(defaults.stage(batch, wall).error().message.find("default_rules = false") != std::string::npos);
}

TEST_CASE("operator state: what was kept comes back, and what the file forbids by now waits aside") {
    OperatorState before(config_of());
    Batch batch;
    batch.changes = {put_set("login", "quay.io"), put_rule("first", "a/*", "quay.io/x/*", "login"),
                     put_rule("other", "b", "quay.io/x/b")};
    auto staged = before.stage(batch, wall);
    REQUIRE(staged);
    const auto restore_into = [&](OperatorState& state) {
        std::string complaints;
        // The ledger's order: sets before rules.
        for (const std::string_view kind : {"credential-set/", "rule/"}) {
            for (const auto& change : staged->keep) {
                const auto& put = std::get<PutSetting>(change);
                if (!put.key.starts_with(kind)) continue;
                const auto restored = state.restore(put.key, put.text);
                if (!restored) complaints += restored.error() + "\n";
            }
        }
        return complaints;
    };
    OperatorState same(config_of());
    CHECK(restore_into(same) == "");
    CHECK(same.etag() == before.etag());
    CHECK(*same.find_rule("first") == *before.find_rule("first"));

    OperatorState stricter(config_of("[[cache_rule]]\nname = \"wide\"\nsource = \"docker.io/*\"\ntarget = \"a/*\"\n"));
    CHECK(restore_into(stricter).find("cache rule \"first\", made at run time, takes no part: ") == 0);
    CHECK_FALSE(stricter.book().find("first"));
    CHECK(stricter.find_rule("first")->target == "a/*");
    CHECK(stricter.problem_of("first").find("\"wide\"") != std::string::npos);
    CHECK(stricter.problem_of("other").empty());
    CHECK(names(stricter) == "first other wide ");
    std::string
        exported;  // what waits aside is the operator's all the same: an export without it, applied with prune, would delete it
    for (const auto& rule : stricter.rules_made_at_run_time()) exported += rule->name + " ";
    CHECK(exported == "first other ");
    CHECK(stage(stricter, put_rule("first", "c/*", "quay.io/x/*", "login")) == "");  // mended
    CHECK(stricter.book().find("first"));
    CHECK(stage(stricter, remove<RuleText>("first")) == "");
    CHECK(names(stricter) == "other wide ");
    CHECK_FALSE(stricter.restore("rule/broken", "{"));
    CHECK(stricter.restore("something-of-a-newer-version/x", "?"));
}

TEST_CASE("operator state: a rule that names an account that is not there is worth a note") {
    OperatorState state(config_of());
    const auto notes_of = [&](std::vector<std::string> pull) {
        Change<RuleText> change{"first", {}, {}};
        change.edit = [pull](const RuleText*) -> Result<std::optional<RuleText>, std::string> {
            RuleText rule;
            rule.target = "a";
            rule.source = "quay.io/x/a";
            rule.pull = pull;
            return std::optional(rule);
        };
        Batch batch;
        batch.changes.emplace_back(change);
        auto staged = state.stage(batch, wall);
        REQUIRE(staged);
        return fmt::format("{}", fmt::join(staged->outcome.notes, "\n"));
    };
    CHECK(notes_of({}) == "");
    CHECK(notes_of({"anonymous"}) == "");
    CHECK(notes_of({"alice"}).find("lets \"alice\" pull, and there is no account") != std::string::npos);
    CHECK(notes_of({"a1", "a2", "a3", "a4", "a5", "a6", "a7"}).find("\"a5\" and 2 more pull") != std::string::npos);
}

TEST_CASE("operator state: a plan says for which state it holds, and what was done which came of it") {
    OperatorState state(config_of());
    Batch batch;
    batch.dry_run = true;
    batch.changes.push_back(put_rule("first", "a", "quay.io/x/a"));
    const auto before = state.etag();
    auto would = state.stage(batch, wall);
    REQUIRE(would);
    CHECK(would->outcome.state_etag == before);
    OperatorState::undo(*would);
    batch.dry_run = false;
    batch.state_etag = would->outcome.state_etag;
    auto done = state.stage(batch, wall);
    REQUIRE(done);
    CHECK(done->outcome.state_etag == state.etag());
    CHECK(state.etag() != before);
    auto again = state.stage(batch, wall);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == "Changed");
}

TEST_CASE("operator state: a copy is independent") {
    OperatorState state(config_of());
    REQUIRE(stage(state, put_rule("first", "a", "quay.io/x/a")) == "");
    OperatorState copy = state;
    REQUIRE(stage(copy, put_rule("second", "b", "quay.io/x/b"), remove<RuleText>("first")) == "");
    CHECK(names(state) == "first ");
    CHECK(names(copy) == "second ");
    REQUIRE(stage(state, put_rule("third", "b", "quay.io/x/b")) == "");
    CHECK(names(copy) == "second ");
}

TEST_CASE("operator state: lists are paged by name") {
    OperatorState state(config_of());
    for (const char* name : {"delta", "alpha", "bravo", "charly"})
        REQUIRE(stage(state, put_rule(name, name, "quay.io/x/a")) == "");
    auto page = state.rules_after("", 3);
    REQUIRE(page.size() == 3);
    CHECK(page[2]->name == "charly");
    page = state.rules_after("charly", 3);
    REQUIRE(page.size() == 1);
    CHECK(page[0]->name == "delta");
}

TEST_CASE("operator state: the number of credential sets has a bound") {
    OperatorState state(config_of());
    Batch batch;
    for (std::size_t i = 0; i < credential_sets_max; ++i)
        batch.changes.push_back(put_set("login-" + std::to_string(i), "quay.io"));
    REQUIRE(state.stage(batch, wall));
    CHECK(stage(state, put_set("one-more", "quay.io")) == "TooManyCredentialSets");
    CHECK_FALSE(state.find_credential_set("one-more"));
}
