#include "cli/admin_token.h"

#include "scratch.h"

#include <unistd.h>

using namespace entrepot::cli;

TEST_CASE("admin token: the variable goes before the named file, and that before the usual one") {
    Scratch scratch;
    const auto named = scratch.write("named", "of-the-named-file\n");
    const auto usual = scratch.write("usual", "of-the-usual-file\n");
    auto first = choose_token({.value = "of-the-variable", .file = named, .default_file = usual});
    REQUIRE(first.has_value());
    CHECK(first->value == "of-the-variable");
    CHECK(!first->of_this_box);
    auto second = choose_token({.file = named, .default_file = usual});
    REQUIRE(second.has_value());
    CHECK(second->value == "of-the-named-file");
    CHECK(!second->of_this_box);
    auto third = choose_token({.value = "", .file = "", .default_file = usual});
    REQUIRE(third.has_value());
    CHECK(third->value == "of-the-usual-file");
    CHECK(third->of_this_box);
}

TEST_CASE("admin token: a missing usual file is no failure, a missing named one is") {
    Scratch scratch;
    auto none = choose_token({.default_file = scratch.path("none")});
    REQUIRE(none.has_value());
    CHECK(none->value.empty());
    CHECK(none->why_none.find("No such file") != std::string::npos);
    auto failed = choose_token({.file = scratch.path("none"), .default_file = scratch.path("none")});
    REQUIRE(!failed.has_value());
    CHECK(failed.error().text.find(scratch.path("none")) != std::string::npos);
}

TEST_CASE("admin token: a file that others can read is never used, and the way out is said") {
    Scratch scratch;
    for (mode_t mode : {0644, 0604, 0666, 0620, 0602}) {
        const auto file = scratch.write("token", "secret-value", mode);
        auto named = choose_token({.file = file, .default_file = ""});
        REQUIRE(!named.has_value());
        CHECK(named.error().text.find("chmod 0600") != std::string::npos);
        CHECK(named.error().text.find("secret-value") == std::string::npos);
        auto usual = choose_token({.default_file = file});
        REQUIRE(usual.has_value());
        CHECK(usual->value.empty());
    }
    CHECK(choose_token({.file = scratch.write("token", "secret-value", 0640), .default_file = ""}).has_value());
}

TEST_CASE("admin token: what could not stand in a header is no token, and is not shown") {
    Scratch scratch;
    for (const auto* text : {"", "\n", "two words", "tab\there", "caf\xc3\xa9", "\x1b[31m"}) {
        auto token = choose_token({.file = scratch.write("token", text), .default_file = ""});
        REQUIRE(!token.has_value());
        CHECK(token.error().text.find("holds no token") != std::string::npos);
    }
    CHECK(choose_token({.value = "a b", .default_file = ""}).error().text.find("a b") == std::string::npos);
}

TEST_CASE("secret file: its first line without the line end, of at most 4096 bytes") {
    Scratch scratch;
    CHECK(*read_secret_file(scratch.write("a", "with space \r\nsecond\n"), "the file") == "with space ");
    CHECK(*read_secret_file(scratch.write("a", std::string(4096, 'x')), "the file") == std::string(4096, 'x'));
    CHECK(!read_secret_file(scratch.write("a", std::string(4097, 'x')), "the file").has_value());
    CHECK(!read_secret_file(scratch.path("."), "the file").has_value());
    REQUIRE(::mkfifo(scratch.path("pipe").c_str(), 0600) == 0);
    CHECK(!read_secret_file(scratch.path("pipe"), "the file").has_value());
}
