#include "entrepot/base/base64.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("base64: the vectors of RFC 4648, section 10") {
    CHECK(base64("") == "");
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64("foob") == "Zm9vYg==");
    CHECK(base64("fooba") == "Zm9vYmE=");
    CHECK(base64("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64: bytes outside ASCII keep their eight bits") { CHECK(base64(std::string_view("\xff\x00\xfe", 3)) == "/wD+"); }
