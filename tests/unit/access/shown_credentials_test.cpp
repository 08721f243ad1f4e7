#include "entrepot/access/shown_credentials.h"

#include "entrepot/base/base64.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("shown credentials: a name and a password, with colons in the password") {
    auto read = parse_authorization("Basic " + base64("alice:pass:word"));
    CHECK(read.kind == ShownKind::basic);
    CHECK(read.user == "alice");
    CHECK(read.password == "pass:word");
    for (auto text : {"a:b", "ab:c", "abc:d", ":", "alice:", ":password"}) {
        CAPTURE(text);
        auto encoded = base64(text);
        CHECK(parse_authorization("bAsIc   " + encoded).kind == ShownKind::basic);
        while (encoded.ends_with('=')) encoded.pop_back();
        auto bare = parse_authorization("basic " + encoded);
        CHECK(bare.user + ":" + bare.password == text);
    }
}

TEST_CASE("shown credentials: a bearer token is the field's own text") {
    std::string field = "Bearer abc.def.ghi";
    auto read = parse_authorization(field);
    CHECK(read.kind == ShownKind::bearer);
    CHECK(read.token == "abc.def.ghi");
    CHECK(read.token.data() == field.data() + 7);
    CHECK(parse_authorization("BEARER x").kind == ShownKind::bearer);
}

TEST_CASE("shown credentials: none is none, everything else is unreadable") {
    CHECK(parse_authorization("").kind == ShownKind::none);
    for (auto field : {"Basic", "Basic ", "Basic !!!!", "Basic YQ", "Basic YWxpY2U", "Basic YTpi=", "Basic YTpiYTpi====",
                       "Bearer", "Bearer  ", "Bearer a b", "Digest x=y", "Basically YTpi", " ", "YTpi"}) {
        CAPTURE(field);
        auto read = parse_authorization(field);
        CHECK(read.kind == ShownKind::unreadable);
        CHECK(read.user.empty());
        CHECK(read.password.empty());
    }
}
