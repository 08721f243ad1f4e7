#include "entrepot/rules/account.h"

#include "entrepot/rules/account_document.h"
#include "entrepot/rules/account_table.h"

#include <doctest/doctest.h>

using namespace entrepot;

namespace {

const std::string argon_hash =
    "$argon2id$v=19$m=32768,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

Account account(std::string name) {
    Account made;
    made.name = std::move(name);
    made.hash = argon_hash;
    made.repositories = *parse_repository_patterns({"**"});
    made.created = 1'700'000'000;
    return made;
}

std::shared_ptr<const Account> shared(std::string name) { return std::make_shared<const Account>(account(std::move(name))); }

std::string refusal(std::string_view json) {
    auto read = read_account_change(nlohmann::json::parse(json));
    REQUIRE_FALSE(read.has_value());
    return read.error();
}

}  // namespace

TEST_CASE("account: passwords have a least and a most length, no control bytes, and are no token secrets") {
    CHECK(fault_of_password("hunter22").empty());
    CHECK(fault_of_password(std::string(1024, 'x')).empty());
    CHECK(fault_of_password("p\xc3\xa4ssw\xc3\xb6rd: with anything").empty());
    CHECK(fault_of_password("hunter2") == "is shorter than 8 bytes");
    CHECK(fault_of_password(std::string(1025, 'x')) == "is longer than 1024 bytes");
    CHECK_FALSE(fault_of_password("hunter22\n").empty());
    CHECK_FALSE(fault_of_password(std::string("hunter\0 22", 10)).empty());
    CHECK_FALSE(fault_of_password("ept_hunter22").empty());
}

TEST_CASE("account: expiry is the first second that is too late") {
    auto made = account("alice");
    CHECK_FALSE(made.expired(INT64_MAX));
    made.expires = 1000;
    CHECK_FALSE(made.expired(999));
    CHECK(made.expired(1000));
}

TEST_CASE("account table: finds by name, refuses twins, unsound ones and one too many") {
    auto table = AccountTable::build({shared("carol"), shared("alice"), shared("bob")});
    REQUIRE(table.has_value());
    CHECK((*table)->find("alice")->name == "alice");
    CHECK((*table)->find("bob")->name == "bob");
    CHECK((*table)->find("dave") == nullptr);
    CHECK((*table)->find("") == nullptr);
    CHECK((*table)->accounts().front()->name == "alice");

    CHECK_FALSE(AccountTable::build({shared("alice"), shared("alice")}).has_value());
    CHECK_FALSE(AccountTable::build({shared("anonymous")}).has_value());
    CHECK_FALSE(AccountTable::build({shared("with space")}).has_value());
    auto bare = account("alice");
    bare.repositories.clear();
    CHECK_FALSE(AccountTable::build({std::make_shared<const Account>(bare)}).has_value());
    auto plain = account("alice");
    plain.hash = "hunter22";
    auto refused = AccountTable::build({std::make_shared<const Account>(plain)});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().find("hunter22") == std::string::npos);

    std::vector<std::shared_ptr<const Account>> many;
    for (std::size_t i = 0; i < AccountTable::accounts_max; ++i) many.push_back(shared("a" + std::to_string(i)));
    auto full = AccountTable::build(many);
    REQUIRE(full.has_value());
    CHECK((*full)->find("a9999") != nullptr);
    CHECK_FALSE((*full)->with(shared("one-more")).has_value());
    CHECK((*full)->with(shared("a17")).has_value());
}

TEST_CASE("account table: a change makes another table and leaves this one") {
    auto first = AccountTable::empty();
    auto second = first->with(shared("alice"));
    REQUIRE(second.has_value());
    auto newer = account("alice");
    newer.expires = 5;
    auto third = (*second)->with(std::make_shared<const Account>(newer));
    REQUIRE(third.has_value());
    auto fourth = (*third)->without("alice");
    CHECK(first->find("alice") == nullptr);
    CHECK((*second)->find("alice")->expires == 0);
    CHECK((*third)->find("alice")->expires == 5);
    CHECK(fourth->find("alice") == nullptr);
}

TEST_CASE("account document: what the ledger keeps comes back whole, what the API shows has no hash") {
    auto made = account("alice");
    made.expires = 1'800'000'000;
    made.repositories = *parse_repository_patterns({"hub/*", "team/**"});
    auto back = account_from_stored("alice", stored_text(made));
    REQUIRE(back.has_value());
    CHECK(*back == made);
    auto shown = account_document(made);
    CHECK(shown["name"] == "alice");
    CHECK(shown["kind"] == "password");
    CHECK(shown["repositories"] == JsonDocument({"hub/*", "team/**"}));
    CHECK(shown["expires"] == "2027-01-15T08:00:00Z");
    CHECK(shown.dump().find("argon") == std::string::npos);
    CHECK_FALSE(account_from_stored("alice", "no JSON").has_value());
    CHECK_FALSE(account_from_stored("alice", R"({"kind":"password"})").has_value());
}

TEST_CASE("account document: the etag depends on all that can be changed, the password among it") {
    auto made = account("alice");
    auto etag = etag_of(made);
    auto other = made;
    other.hash.back() = 'B';
    CHECK(etag_of(other) != etag);
    other = made;
    other.expires = 1;
    CHECK(etag_of(other) != etag);
    CHECK(etag_of(account("bob")) != etag);
    CHECK(etag_of(account("alice")) == etag);
}

TEST_CASE("account document: a change is read strictly and never repeats the password") {
    auto change = read_account_change(
        nlohmann::json::parse(R"({"password":"hunter22","repositories":["hub/*"],"expires":"2027-01-15T08:00:00Z"})"));
    REQUIRE(change.has_value());
    CHECK(change->password == "hunter22");
    CHECK_FALSE(change->kind.has_value());
    CHECK(change->repositories->front().text() == "hub/*");
    CHECK(change->expires == 1'800'000'000);

    auto reset = read_account_change(nlohmann::json::parse(R"({"kind":"token","repositories":null,"expires":null})"));
    REQUIRE(reset.has_value());
    CHECK(reset->kind == AccountKind::token);
    CHECK(reset->repositories->front().text() == "**");
    CHECK(reset->expires == 0);

    CHECK(refusal(R"({"password":"short1"})").find("short1") == std::string::npos);
    CHECK(refusal(R"({"password":"hunter22","kind":"token"})").find("hunter22") == std::string::npos);
    CHECK(refusal(R"({"pasword":"hunter22"})").find("\"pasword\"") != std::string::npos);
    CHECK(refusal(R"({"repositories":["hub-*"]})").find("hub-*") != std::string::npos);
    CHECK(refusal(R"({"expires":"tomorrow"})").find("expires") != std::string::npos);
    CHECK(refusal(R"({"kind":"robot"})").find("token") != std::string::npos);
    CHECK(refusal(R"({"hash":"x"})").find("hash") != std::string::npos);
    CHECK(refusal(R"([])").find("object") != std::string::npos);
}
