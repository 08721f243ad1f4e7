#include "entrepot/oci/name.h"

#include <doctest/doctest.h>

#include <regex>
#include <string>

using namespace entrepot;

namespace {
using Texts = std::initializer_list<std::string>;
}  // namespace

TEST_CASE("repository: what the grammar of the spec allows") {
    for (const char* name :
         {"a", "0", "alpine", "library/alpine", "a.b", "a_b", "a__b", "a-b", "a--b", "a-----b", "docker.io/library/alpine",
          "a/b/c/d/e/f/g", "1.2.3", "x86_64/busybox", "manifests", "blobs/uploads/tags/list"}) {
        CAPTURE(name);
        CHECK(is_repository(name));
    }
}

TEST_CASE("repository: what it does not allow") {
    for (const std::string& name : Texts{"",         "Alpine",     "aB",   "a..b", "a___b",
                                         "a._b",     "a_.b",       "a-_b", "-a",   "a-",
                                         "a//b",     "a/",         "/a",   ".",    "..",
                                         "a/../b",   "_a",         "a_",   "a__",  "a b",
                                         "a%2fb",    "a:b",        "a@b",  "a\n",  std::string("a\0b", 3),
                                         "\xc3\xa9", "a/_catalog", "a*"}) {
        CAPTURE(name);
        CHECK_FALSE(is_repository(name));
    }
}

TEST_CASE("repository: 255 bytes and 128 components are fine, 256 bytes are not") {
    CHECK(is_repository(std::string(255, 'a')));
    CHECK_FALSE(is_repository(std::string(256, 'a')));
    std::string components = "a";
    for (int i = 1; i < 128; ++i) components += "/a";
    CHECK(components.size() == 255);
    CHECK(is_repository(components));
    CHECK_FALSE(is_repository(components + "/a"));
}

TEST_CASE("repository: agrees with the spec's own expression on every text of up to six characters of its alphabet") {
    const std::regex grammar("[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*", std::regex::optimize);
    const std::string alphabet = "a._-/A";
    std::string text;
    int disagreements = 0, accepted = 0;
    for (int length = 1; length <= 6; ++length) {
        int texts = 1;
        for (int i = 0; i < length; ++i) texts *= static_cast<int>(alphabet.size());
        for (int number = 0; number < texts; ++number) {
            text.clear();
            for (int i = 0, rest = number; i < length; ++i, rest /= static_cast<int>(alphabet.size())) {
                text.push_back(alphabet[static_cast<std::size_t>(rest) % alphabet.size()]);
            }
            const bool ours = is_repository(text);
            accepted += ours;
            disagreements += ours != std::regex_match(text, grammar);
        }
    }
    CHECK(disagreements == 0);
    CHECK(accepted > 100);
}

TEST_CASE("tag: the grammar and its bound") {
    for (const std::string& tag :
         Texts{"latest", "1.0", "_x", "A-b_c.d", "v1--", "sha256-e3b0.sig", "0", std::string(128, 't')}) {
        CAPTURE(tag);
        CHECK(is_tag(tag));
    }
    for (const std::string& tag :
         Texts{"", "-x", ".x", "a:b", "a%20", "a/b", "a b", "a\r\n", "\xe2\x80\xae", "a+b", std::string(129, 't')}) {
        CAPTURE(tag);
        CHECK_FALSE(is_tag(tag));
    }
}

TEST_CASE("login server: hosts with and without a port") {
    for (const char* text :
         {"docker.io", "ghcr.io", "localhost", "localhost:5000", "registry", "a-b.c-d.example:65535", "127.0.0.1:1", "[::1]:5000",
          "[fe80::1]", "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "xn--bcher-kva.example"}) {
        CAPTURE(text);
        CHECK(is_login_server(text));
    }
    for (const std::string& text : Texts{"",          "Docker.io", "a..b",
                                         ".a",        "a.",        "-a.b",
                                         "a-.b",      "a:",        ":5000",
                                         "a:0",       "a:080",     "a:65536",
                                         "a:99999",   "a:123456",  "a:5000:5000",
                                         "a/b",       "user@a",    "a b",
                                         "[::1",      "[]",        "[1]:5",
                                         "[::1]5000", "[::g]",     "a_b.c",
                                         "a\r\nX: y", "https://a", std::string(64, 'a') + ".b"}) {
        CAPTURE(text);
        CHECK_FALSE(is_login_server(text));
    }
    const std::string label(63, 'a');
    const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
    CHECK(longest.size() == 253);
    CHECK(is_login_server(longest));
    CHECK(is_login_server(longest + ":65535"));
    CHECK((longest + ":65535").size() == login_server_bytes_max);
    CHECK_FALSE(is_login_server(longest + "b"));
}

TEST_CASE("login server: the first component is a host when it has a dot or a port, or is localhost") {
    for (const char* text : {"docker.io", "a:5000", "localhost"}) CHECK(looks_like_login_server(text));
    for (const char* text : {"library", "alpine", "local", ""}) CHECK_FALSE(looks_like_login_server(text));
}
