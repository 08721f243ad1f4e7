#include "entrepot/access/password.h"

#include "entrepot/access/token_secret.h"
#include "entrepot/rules/account.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("password: its hash knows it and nothing else, and says what it cost") {
    auto hash = hash_password("correct horse");
    REQUIRE(hash.has_value());
    CHECK(hash->starts_with("$argon2id$v=19$m=32768,t=2,p=1$"));
    CHECK(*verify_password("correct horse", *hash));
    CHECK_FALSE(*verify_password("correct hors", *hash));
    CHECK_FALSE(*verify_password("correct horse ", *hash));
    CHECK_FALSE(*verify_password("", *hash));
    auto again = hash_password("correct horse");
    CHECK(*again != *hash);

    Account account;
    account.name = "alice";
    account.hash = *hash;
    account.repositories = *parse_repository_patterns({"**"});
    CHECK(fault_of(account).empty());
}

TEST_CASE("password: hashes of other programs are read, what is no hash verifies nothing") {
    // RFC 9106's function as the reference program writes it: argon2 somesalt -id -t 2 -k 65536 -p 1 of "password".
    std::string other = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    CHECK(*verify_password("password", other));
    CHECK_FALSE(*verify_password("differentpassword", other));
    for (auto text : {"", "$argon2id$", "password", "$argon2id$v=19$m=32768,t=2,p=1$AAAA"})
        CHECK_FALSE(*verify_password("password", text));
}

TEST_CASE("password: nobody's hash has the usual cost and fits no password") {
    CHECK(hash_of_nobody().starts_with("$argon2id$v=19$m=32768,t=2,p=1$"));
    CHECK(hash_of_nobody().size() == hash_password("x")->size());
    CHECK_FALSE(*verify_password("", hash_of_nobody()));
    CHECK_FALSE(*verify_password("password", hash_of_nobody()));
}

TEST_CASE("token secret: 256 bits that look like one, and verify against their hash alone") {
    auto secret = make_token_secret(), other = make_token_secret();
    CHECK(secret != other);
    CHECK(looks_like_token_secret(secret));
    CHECK_FALSE(looks_like_token_secret(secret + "A"));
    CHECK_FALSE(looks_like_token_secret("x" + secret.substr(1)));
    auto hash = hash_token_secret(secret);
    CHECK(hash.size() == 7 + 64);
    CHECK(hash_token_secret("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(verify_token_secret(secret, hash));
    CHECK_FALSE(verify_token_secret(other, hash));
    CHECK_FALSE(verify_token_secret(secret, ""));
    CHECK_FALSE(verify_token_secret(secret, hash_of_nobody()));
    CHECK_FALSE(verify_token_secret(secret, hash.substr(0, hash.size() - 1)));
}
