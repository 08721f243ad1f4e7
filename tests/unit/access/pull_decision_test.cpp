#include "entrepot/access/pull_decision.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

std::shared_ptr<const Account> account(std::string name, std::vector<std::string> repositories) {
    auto made = std::make_shared<Account>();
    made->name = std::move(name);
    made->repositories = *parse_repository_patterns(repositories);
    return made;
}

RuleText rule(std::vector<std::string> pull, std::string credential_set = {}) {
    RuleText text;
    text.pull = std::move(pull);
    text.credential_set = std::move(credential_set);
    return text;
}

Visitor by_password(std::shared_ptr<const Account> who) {
    Visitor visitor;
    visitor.standing = Visitor::Standing::known;
    visitor.account = std::move(who);
    return visitor;
}

Visitor by_token(std::shared_ptr<const Account> who, std::vector<std::string> repositories) {
    auto visitor = by_password(who);
    visitor.token = make_pull_token(who.get(), std::move(repositories), 1'800'000'000);
    return visitor;
}

}  // namespace

TEST_CASE("pull decision: who may pull what") {
    auto open = rule({}), said = rule({"anonymous"}, "corp"), listed = rule({"alice"}, "corp"), unsaid = rule({}, "corp");
    auto identity = rule({});
    identity.identity = "managed";
    auto alice = account("alice", {"corp/**"}), narrow = account("alice", {"corp/app"}), bob = account("bob", {"**"});
    struct Row {
        const char* what;
        const RuleText* rule;
        Visitor visitor;
        PullVerdict verdict;
    };
    const Row rows[] = {
        {"no credentials, no list: everybody", &open, {}, PullVerdict::allowed},
        {"the operator said so", &said, {}, PullVerdict::allowed},
        {"and asks nobody who he is", &said, by_token(bob, {}), PullVerdict::allowed},
        {"credentials, no list: nobody, whoever it is", &unsaid, {}, PullVerdict::closed},
        {"", &unsaid, by_password(alice), PullVerdict::closed},
        {"an identity is a credential", &identity, by_password(alice), PullVerdict::closed},
        {"listed, and nothing shown", &listed, {}, PullVerdict::log_in},
        {"no rule, and nothing shown: the same", nullptr, {}, PullVerdict::log_in},
        {"a token for anybody shows nothing", &listed, by_token(nullptr, {"corp/app"}), PullVerdict::log_in},
        {"", nullptr, by_token(nullptr, {"corp/app"}), PullVerdict::log_in},
        {"listed", &listed, by_password(alice), PullVerdict::allowed},
        {"listed, by token", &listed, by_token(alice, {"corp/app"}), PullVerdict::allowed},
        {"a token for another repository", &listed, by_token(alice, {"corp/other"}), PullVerdict::other_scope},
        {"also where there is no rule", nullptr, by_token(alice, {"corp/other"}), PullVerdict::other_scope},
        {"not listed", &listed, by_password(bob), PullVerdict::absent},
        {"no rule: the same", nullptr, by_password(bob), PullVerdict::absent},
        {"not listed, by token", &listed, by_token(bob, {"corp/app"}), PullVerdict::absent},
        {"no rule, by token: the same", nullptr, by_token(bob, {"corp/app"}), PullVerdict::absent},
        {"listed, and the account's patterns cover it", &listed, by_password(narrow), PullVerdict::allowed},
    };
    for (auto& row : rows) {
        CAPTURE(row.what);
        CHECK(decide_pull(row.rule, "corp/app", "corp/app", row.visitor) == row.verdict);
    }
}

TEST_CASE("pull decision: an account's patterns are about our name of the repository, a token's scope about the client's") {
    auto listed = rule({"alice"}, "corp");
    auto alice = account("alice", {"corp/*"});
    CHECK(decide_pull(&listed, "team/app", "corp/app", by_token(alice, {"team/app"})) == PullVerdict::allowed);
    CHECK(decide_pull(&listed, "team/app", "corp/app", by_token(alice, {"corp/app"})) == PullVerdict::other_scope);
    CHECK(decide_pull(&listed, "corp/app", "team/app", by_token(alice, {"corp/app"})) == PullVerdict::absent);
}
