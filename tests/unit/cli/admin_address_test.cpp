#include "cli/admin_address.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

TEST_CASE("admin address: sockets and hosts in every spelling") {
    const std::pair<const char*, const char*> rows[] = {
        {"unix:/run/entrepot/admin.sock", "unix:/run/entrepot/admin.sock"},
        {"/tmp/a.sock", "unix:/tmp/a.sock"},
        {"127.0.0.1:5001", "127.0.0.1:5001"},
        {"127.0.0.1", "127.0.0.1:5001"},
        {"localhost:80", "localhost:80"},
        {"http://localhost:8080/", "localhost:8080"},
        {"http://cache.corp.example", "cache.corp.example:5001"},
        {"[::1]:5001", "[::1]:5001"},
        {"[::1]", "[::1]:5001"},
    };
    for (const auto& [text, expected] : rows) {
        auto address = parse_admin_address(text);
        REQUIRE_MESSAGE(address.has_value(), text);
        CHECK(address->text() == expected);
    }
}

TEST_CASE("admin address: what is none is refused as wrong usage") {
    for (const auto* text : {"", ":", "unix:", "unix:relative.sock", "https://localhost:5001", "host:0", "host:65536", "host:x",
                             "user@host:1", "a b:1", "http://host/path"}) {
        auto address = parse_admin_address(text);
        REQUIRE_MESSAGE(!address.has_value(), text);
        CHECK(address.error().status == status_misused);
    }
    CHECK(parse_admin_address("unix:/" + std::string(106, 'a')).has_value());
    CHECK(!parse_admin_address("unix:/" + std::string(107, 'a')).has_value());
}

TEST_CASE("admin address: the option goes before the environment, and that before the usual places") {
    auto usual = choose_admin_addresses({}, {});
    REQUIRE(usual.has_value());
    REQUIRE(usual->size() == 2);
    CHECK((*usual)[0].text() == "unix:/run/entrepot/admin.sock");
    CHECK((*usual)[1].text() == "127.0.0.1:5001");
    auto both = choose_admin_addresses("10.0.0.1:1", "10.0.0.2:2");
    REQUIRE(both.has_value());
    REQUIRE(both->size() == 1);
    CHECK((*both)[0].text() == "10.0.0.1:1");
    CHECK((*choose_admin_addresses({}, "10.0.0.2:2"))[0].text() == "10.0.0.2:2");
    CHECK(choose_admin_addresses("", "")->size() == 2);
    CHECK(!choose_admin_addresses({}, "nonsense:x").has_value());
}
