#include "entrepot/http/jwt.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

using namespace entrepot;

namespace {

std::string token_of(const std::string& claims) { return "e30." + base64url(claims) + ".c2ln"; }

}  // namespace

TEST_CASE("jwt: base64url is RFC 4648's, without padding, and only that is read") {
    struct Row {
        const char* bytes;
        const char* text;
    };
    for (auto row : {Row{"", ""}, Row{"f", "Zg"}, Row{"fo", "Zm8"}, Row{"foo", "Zm9v"}, Row{"foobar", "Zm9vYmFy"},
                     Row{"\xff\xfe\xfd", "__79"}, Row{"\xfb\xef", "--8"}}) {
        CAPTURE(std::string(row.text));
        CHECK(base64url(row.bytes) == row.text);
        CHECK(base64url_decode(row.text) == row.bytes);
    }
    for (const char* junk : {"Zg==", "Zm9", "Zh", "Z", "Zm 9v", "Zm+v", "Zm/v", "Zm9v\n", "Zm9vY"}) {
        CAPTURE(std::string(junk));
        CHECK_FALSE(base64url_decode(junk));
    }
    CHECK_FALSE(base64url_decode(std::string_view("Zm9\0", 4)));
}

TEST_CASE("jwt: the end is the exp claim, and nothing else") {
    CHECK(jwt_expiry(token_of(R"({"exp":1700000000})")) == 1700000000);
    CHECK(jwt_expiry(token_of(R"({"iss":"x","exp":1700000000.75})")) == 1700000000);
    for (const char* claims : {"{}", R"({"exp":"1700000000"})", R"({"exp":0})", R"({"exp":-5})", R"({"exp":1e40})", "[1]", "junk",
                               R"({"exp":null})", ""}) {
        CAPTURE(std::string(claims));
        CHECK_FALSE(jwt_expiry(token_of(claims)));
    }
    for (const char* text : {"", "opaque", "a.b", "e30.e30", "..", "e30.!!.c2ln"}) {
        CAPTURE(std::string(text));
        CHECK_FALSE(jwt_expiry(text));
    }
    CHECK_FALSE(jwt_expiry(token_of(R"({"exp":1700000000,"x":")" + std::string(jwt_bytes_max, 'x') + "\"}")));
}

TEST_CASE("jwt: an assertion says who, to whom, by which certificate and until when") {
    ClientAssertion assertion;
    assertion.client = "client";
    assertion.audience = "https://login.test/t/oauth2/v2.0/token";
    assertion.id = "once";
    assertion.thumbprint = std::string(20, '\xaa');
    assertion.from = 100;
    assertion.until = 700;
    auto text = signing_input(assertion);
    auto dot = text.find('.');
    REQUIRE(dot != text.npos);
    auto header = nlohmann::json::parse(*base64url_decode(text.substr(0, dot)));
    auto claims = nlohmann::json::parse(*base64url_decode(text.substr(dot + 1)));
    CHECK(header == nlohmann::json{{"alg", "RS256"}, {"typ", "JWT"}, {"x5t", "qqqqqqqqqqqqqqqqqqqqqqqqqqo"}});
    CHECK(claims ==
          nlohmann::json{
              {"aud", assertion.audience}, {"iss", "client"}, {"sub", "client"}, {"jti", "once"}, {"nbf", 100}, {"exp", 700}});
}
