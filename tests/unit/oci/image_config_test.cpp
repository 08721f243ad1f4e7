#include "entrepot/oci/image_config.h"

#include <doctest/doctest.h>

using namespace entrepot;

TEST_CASE("image config: the platform stands at the top, wherever in the document, and nothing else is taken for it") {
    auto found = parse_image_config(
        R"({"config":{"os":"plan9","Env":["architecture=mips"]},"history":[{"os":"x"}],"architecture":"arm64","variant":"v8","os":"linux"})");
    CHECK(found.os == "linux");
    CHECK(found.architecture == "arm64");
    CHECK(found.variant == "v8");
    found = parse_image_config(R"({"os":["windows"],"architecture":{"os":"windows"},"variant":7})");
    CHECK(found.os.empty());
    CHECK(found.architecture.empty());
    CHECK(found.variant.empty());
}

TEST_CASE("image config: what is no config has no platform") {
    for (auto text : {"", "{}", "[]", "\"os\"", "not json", "{\"os\":", "null"}) CHECK(parse_image_config(text).os.empty());
    CHECK(parse_image_config(std::string(100'000, '[')).os.empty());
    CHECK(parse_image_config(std::string("{\"a\":") + std::string(100'000, '[')).os.empty());
}
