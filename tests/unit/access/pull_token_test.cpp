#include "entrepot/access/pull_token.h"

#include "entrepot/base/sha256.h"

#include "access/base64_text.h"
#include "access/signature.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace entrepot;

namespace {

constexpr std::int64_t wall = 1'800'000'000;
const TokenKey key = make_token_key();

Account alice() {
    Account account;
    account.name = "alice";
    account.hash = "$argon2id$one";
    account.created = 5;
    return account;
}

std::string url64(std::string_view text) { return base64url_text(bytes_of(text)); }

nlohmann::json sound_claims() {
    return {{"iss", "entrepot"}, {"aud", "entrepot"},
            {"sub", "alice"},    {"iat", wall},
            {"nbf", wall},       {"exp", wall + 300},
            {"stamp", 7},        {"access", {{{"type", "repository"}, {"name", "hub/app"}, {"actions", {"pull"}}}}}};
}

}  // namespace

TEST_CASE("pull token: says what was signed, until it ends") {
    auto account = alice();
    auto token = make_pull_token(&account, {"hub/app", "team/tool"}, wall);
    auto text = sign(key, token);
    auto read = verify_pull_token(key, text, wall);
    REQUIRE(read.has_value());
    CHECK(*read == token);
    CHECK(read->names("team/tool"));
    CHECK_FALSE(read->names("team"));
    CHECK(verify_pull_token(key, text, wall + pull_token_seconds - 1).has_value());
    CHECK_FALSE(verify_pull_token(key, text, wall + pull_token_seconds).has_value());
    // The clock may have stepped back since, a little.
    CHECK(verify_pull_token(key, text, wall - clock_skew_seconds).has_value());
    CHECK_FALSE(verify_pull_token(key, text, wall - clock_skew_seconds - 1).has_value());

    auto anybody = make_pull_token(nullptr, {}, wall);
    CHECK(verify_pull_token(key, sign(key, anybody), wall)->account.empty());
    std::vector<std::string> many(token_repositories_max + 1, "a");
    auto cut = make_pull_token(nullptr, many, wall);
    CHECK(cut.repositories.size() == token_repositories_max);
    CHECK(sign(key, make_pull_token(&account, std::vector<std::string>(token_repositories_max, std::string(255, 'a')), wall))
              .size() < pull_token_bytes_max);
}

TEST_CASE("pull token: is one that every JWT library reads") {
    auto account = alice();
    auto text = sign(key, make_pull_token(&account, {"hub/app"}, wall));
    auto first = text.find('.'), last = text.rfind('.');
    CHECK(nlohmann::json::parse(*parse_base64url(text.substr(0, first))) == nlohmann::json({{"alg", "HS256"}, {"typ", "JWT"}}));
    auto claims = nlohmann::json::parse(*parse_base64url(text.substr(first + 1, last - first - 1)));
    CHECK(claims["aud"] == "entrepot");
    CHECK(claims["sub"] == "alice");
    CHECK(claims["exp"].get<std::int64_t>() - claims["iat"].get<std::int64_t>() == 300);
    CHECK(claims["access"] == nlohmann::json::parse(R"([{"type":"repository","name":"hub/app","actions":["pull"]}])"));
    CHECK(claims.dump().find("argon") == std::string::npos);
}

TEST_CASE("pull token: the signature is HMAC-SHA256 as others compute it") {
    // Computed with Python's hmac over header.payload and 32 bytes of 0x0b.
    TokenKey known;
    known.fill(std::byte{0x0b});
    CHECK(sign_payload(known, R"({"a":1})") ==
          "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ.k22dmsdrS4UWhvPXzffh6l-LQMatWKHadedxmgfYNTQ");
}

TEST_CASE("pull token: forged in every way that is known, it is none") {
    auto account = alice();
    auto text = sign(key, make_pull_token(&account, {"hub/app"}, wall));
    auto first = text.find('.'), last = text.rfind('.');
    auto payload = text.substr(first + 1, last - first - 1), mac = text.substr(last + 1);
    REQUIRE(verify_pull_token(key, text, wall).has_value());

    auto refused = [&](const std::string& forged) {
        CAPTURE(forged);
        CHECK_FALSE(verify_pull_token(key, forged, wall).has_value());
    };
    SUBCASE("the header names another algorithm, or a key") {
        for (auto header : {R"({"alg":"none"})", R"({"alg":"none","typ":"JWT"})", R"({"alg":"None","typ":"JWT"})",
                            R"({"alg":"RS256","typ":"JWT"})", R"({"alg":"HS512","typ":"JWT"})",
                            R"({"alg":"HS256","typ":"JWT","kid":"../../x"})", R"({"typ":"JWT","alg":"HS256"})", "{}", ""}) {
            refused(url64(header) + "." + payload + "." + mac);
            refused(url64(header) + "." + payload + ".");
            refused(url64(header) + "." + payload);
        }
    }
    SUBCASE("even signed with the right key, another header is refused") {
        // Somebody who could make us sign a text of his would still not choose the header.
        auto other = url64(R"({"alg":"none","typ":"JWT"})") + "." + payload;
        auto signed_text = sign_payload(key, "x");
        refused(other + signed_text.substr(signed_text.rfind('.')));
    }
    SUBCASE("another key, a changed payload, a cut or stretched signature") {
        refused(sign(make_token_key(), make_pull_token(&account, {"hub/app"}, wall)));
        auto claims = sound_claims();
        claims["sub"] = "root-of-all";
        refused(text.substr(0, first + 1) + url64(claims.dump()) + "." + mac);
        for (std::size_t length = 0; length < mac.size(); ++length) refused(text.substr(0, last + 1) + mac.substr(0, length));
        refused(text + "A");
        refused(text + "=");
        refused(text + ".");
        refused("." + text);
    }
    SUBCASE("each single character changed") {
        for (std::size_t at = 0; at < text.size(); ++at) {
            auto forged = text;
            forged[at] = forged[at] == 'A' ? 'B' : 'A';
            refused(forged);
        }
    }
    SUBCASE("no token at all") {
        for (auto& none : {std::string(), std::string("."), std::string(".."), std::string("..."), std::string("null"),
                           std::string(1'000'000, 'A'), text + text, std::string("\0\0.\0.\0", 7)})
            refused(none);
    }
}

TEST_CASE("pull token: claims that do not hold refuse it although the signature does") {
    auto accepts = [](const nlohmann::json& claims) {
        return verify_pull_token(key, sign_payload(key, claims.dump()), wall).has_value();
    };
    CHECK(accepts(sound_claims()));
    auto with = [](const char* name, nlohmann::json value) {
        auto claims = sound_claims();
        claims[name] = std::move(value);
        return claims;
    };
    CHECK_FALSE(accepts(with("aud", "registry.example")));
    CHECK_FALSE(accepts(with("aud", nlohmann::json::array({"entrepot"}))));
    CHECK_FALSE(accepts(with("exp", wall)));
    CHECK_FALSE(accepts(with("exp", wall - 1)));
    CHECK_FALSE(accepts(with("exp", "tomorrow")));
    CHECK_FALSE(accepts(with("exp", nullptr)));
    CHECK_FALSE(accepts(with("exp", wall + 301)));
    CHECK_FALSE(accepts(with("exp", INT64_MAX)));
    CHECK_FALSE(accepts(with("nbf", wall + clock_skew_seconds + 1)));
    CHECK_FALSE(accepts(with("stamp", "7")));
    for (auto name : {"aud", "exp", "nbf", "iat", "stamp"}) {
        auto claims = sound_claims();
        claims.erase(name);
        CAPTURE(name);
        CHECK_FALSE(accepts(claims));
    }
    CHECK_FALSE(verify_pull_token(key, sign_payload(key, "[]"), wall).has_value());
    CHECK_FALSE(verify_pull_token(key, sign_payload(key, "no JSON"), wall).has_value());

    for (auto& access :
         {R"([])", R"({})", R"([1,"a",null,{}])", R"([{"type":"registry","name":"hub/app","actions":["pull"]}])",
          R"([{"type":"repository","name":"hub/app","actions":["push"]}])", R"([{"type":"repository","name":"hub/app"}])"}) {
        auto read = verify_pull_token(key, sign_payload(key, with("access", nlohmann::json::parse(access)).dump()), wall);
        REQUIRE(read.has_value());
        CHECK_FALSE(read->names("hub/app"));
    }
}

TEST_CASE("pull token: an account's stamp follows its secret and its making") {
    auto account = alice(), other = alice();
    CHECK(stamp_of(account) == stamp_of(other));
    other.hash = "$argon2id$two";
    CHECK(stamp_of(account) != stamp_of(other));
    other = alice();
    other.created = 6;
    CHECK(stamp_of(account) != stamp_of(other));
    other = alice();
    other.expires = 9;
    CHECK(stamp_of(account) == stamp_of(other));
}
