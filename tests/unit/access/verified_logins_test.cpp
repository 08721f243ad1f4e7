#include "entrepot/access/verified_logins.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("verified logins: what was right is right for a minute") {
    VerifiedLogins logins({});
    Instant start{1'000'000'000};
    auto proof = logins.proof_of("$argon2id$one", "hunter22");
    CHECK_FALSE(logins.knows(proof, start));
    logins.remember(proof, start);
    CHECK(logins.knows(proof, start));
    CHECK(logins.knows(proof, start + seconds(59)));
    CHECK_FALSE(logins.knows(proof, start + seconds(60)));
    logins.remember(proof, start + seconds(60));
    CHECK(logins.knows(proof, start + seconds(119)));
    CHECK(logins.entries() == 1);
}

TEST_CASE("verified logins: another password, another hash and another object have other proofs") {
    VerifiedLogins logins({}), others({});
    auto proof = logins.proof_of("one", "hunter22");
    CHECK(proof == logins.proof_of("one", "hunter22"));
    CHECK(proof != logins.proof_of("one", "hunter23"));
    CHECK(proof != logins.proof_of("two", "hunter22"));
    CHECK(proof != logins.proof_of("onehunter", "22"));
    CHECK(proof != others.proof_of("one", "hunter22"));
}

TEST_CASE("verified logins: at the bound the oldest goes") {
    VerifiedLogins::Options options;
    options.entries_max = 3;
    VerifiedLogins logins(options);
    Instant start{1};
    for (auto password : {"a", "b", "c", "d"}) logins.remember(logins.proof_of("hash", password), start);
    CHECK(logins.entries() == 3);
    CHECK_FALSE(logins.knows(logins.proof_of("hash", "a"), start));
    for (auto password : {"b", "c", "d"}) CHECK(logins.knows(logins.proof_of("hash", password), start));
}
