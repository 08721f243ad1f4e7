#include "entrepot/http/url.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace entrepot;

TEST_CASE("url: parts") {
    const auto url = parse_url("HTTPS://Registry.Example.com.:8443/v2/a%2Fb?x=1&y=%20");
    REQUIRE(url.has_value());
    CHECK(url->origin.scheme == "https");
    CHECK(url->origin.host == "registry.example.com");
    CHECK(url->origin.port == 8443);
    CHECK(url->path == "/v2/a%2Fb");
    CHECK(url->query == "x=1&y=%20");
    CHECK(url->target() == "/v2/a%2Fb?x=1&y=%20");
    CHECK(url->origin.authority() == "registry.example.com:8443");
    CHECK(url->text() == "https://registry.example.com:8443/v2/a%2Fb?x=1&y=%20");
}

TEST_CASE("url: what is read, in canonical form") {
    struct Case {
        const char* text;
        const char* canonical;
    };
    for (const Case& row : {
             Case{"http://a", "http://a/"},
             Case{"http://a:80/", "http://a/"},
             Case{"https://a:443", "https://a/"},
             Case{"http://a:443", "http://a:443/"},
             Case{"https://a?q", "https://a/?q"},
             Case{"https://a/?", "https://a/"},
             Case{"https://a/b?c?d", "https://a/b?c?d"},
             Case{"https://a_b.c-d", "https://a_b.c-d/"},
             Case{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example/"},
             Case{"https://0x7f000001/", "https://0x7f000001/"},
             Case{"https://127.1/", "https://127.1/"},
             Case{"http://[::1]:5000/", "http://[::1]:5000/"},
             Case{"http://[2001:DB8:0:0:0:0:0:1]/", "http://[2001:db8::1]/"},
             Case{"http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]/"},
             Case{"https://a/x|y{z}^`", "https://a/x|y{z}^`"},
             Case{"https://a/../b", "https://a/../b"},
         }) {
        CAPTURE(row.text);
        const auto url = parse_url(row.text);
        REQUIRE(url.has_value());
        CHECK(url->text() == row.canonical);
    }
}

TEST_CASE("url: what is refused") {
    for (const std::string text : {"",
                                   "a",
                                   "/a",
                                   "//a/b",
                                   "a/b",
                                   "https:",
                                   "https:/",
                                   "https://",
                                   "https:///x",
                                   "https://:443/",
                                   "https:a",
                                   "ftp://a/",
                                   "javascript:alert(1)",
                                   "file:///etc/passwd",
                                   " https://a",
                                   "https://a ",
                                   "https ://a",
                                   "httpss://a",
                                   "https://u@a/",
                                   "https://u:p@a/",
                                   "https://good@evil/",
                                   "https://good:443@evil/",
                                   "https://a\\@b/",
                                   "https://a%40b/",
                                   "https://a b/",
                                   "https://a\tb/",
                                   "https://a\r\nb/",
                                   "https://a/\r\nX: y",
                                   "https://a/ b",
                                   "https://a/\x7f",
                                   "https://a/\xc3\xa9",
                                   "https://\xc3\xa9/",
                                   "https://a/\"x\"",
                                   "https://a/<x>",
                                   "https://a/x\\y",
                                   "https://a/#f",
                                   "https://a#f",
                                   "https://a:/",
                                   "https://a:0/",
                                   "https://a:65536/",
                                   "https://a:443x/",
                                   "https://a:+443/",
                                   "https://a:-1/",
                                   "https://a:1:2/",
                                   "https://a:000443/",
                                   "https://.a/",
                                   "https://a..b/",
                                   "https://./",
                                   "https://../",
                                   "https://[::1",
                                   "https://[::1]x/",
                                   "https://[]/",
                                   "https://[fe80::1%25eth0]/",
                                   "https://[127.0.0.1]/",
                                   "https://[::1]:",
                                   "https://::1/",
                                   "https://a,b/",
                                   "https://*.a/",
                                   "https://a$/"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_url(text).has_value());
    }
    CHECK_FALSE(parse_url(std::string("https://a/\0", 11)).has_value());
    CHECK_FALSE(parse_url(std::string("https://[::1\0]/", 15)).has_value());
    const std::string start = "https://a/";
    CHECK(parse_url(start + std::string(url_bytes_max - start.size(), 'x')).has_value());
    CHECK_FALSE(parse_url(start + std::string(url_bytes_max - start.size() + 1, 'x')).has_value());
}

TEST_CASE("url: origins are equal only in scheme, host and port") {
    const auto origin = [](const char* text) { return parse_url(text).value().origin; };
    CHECK(origin("https://A.test./x") == origin("https://a.test:443/y"));
    CHECK(origin("https://a.test") != origin("http://a.test"));
    CHECK(origin("https://a.test") != origin("https://a.test:444"));
    CHECK(origin("https://a.test") != origin("https://b.test"));
    CHECK(origin("https://a.test") != origin("https://a.test.evil"));
    CHECK(origin("http://[::1]") == origin("http://[0:0:0:0:0:0:0:1]:80"));
    CHECK(origin("https://a.test").is_tls());
    CHECK(origin("http://[::1]:5000").text() == "http://[::1]:5000");
}

TEST_CASE("url: authorities of configuration and ns") {
    CHECK(parse_authority("https", "Docker.io")->text() == "https://docker.io");
    CHECK(parse_authority("https", "upstream.test:5000")->port == 5000);
    CHECK(parse_authority("http", "[::1]")->port == 80);
    for (const char* text : {"", ":5000", "a:", "a/b", "u@a", "a b", "a:5000/", "[::1", "a?b"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_authority("https", text).has_value());
        CHECK_FALSE(is_valid_authority(text));
    }
}

TEST_CASE("url: where a Location leads") {
    struct Case {
        const char* location;
        const char* expected;
    };
    for (const Case& row : {
             Case{"https://cdn.test/blob?sig=a%2Fb", "https://cdn.test/blob?sig=a%2Fb"},
             Case{"http://cdn.test", "http://cdn.test/"},
             Case{"//cdn.test:444/x", "https://cdn.test:444/x"},
             Case{"/x/y?z", "https://r.test:5000/x/y?z"},
             Case{"/", "https://r.test:5000/"},
             Case{"", "https://r.test:5000/v2/a/blobs/d?q=1"},
             Case{"?n=2", "https://r.test:5000/v2/a/blobs/d?n=2"},
             Case{"e", "https://r.test:5000/v2/a/blobs/e"},
             Case{"./e", "https://r.test:5000/v2/a/blobs/e"},
             Case{"../e", "https://r.test:5000/v2/a/e"},
             Case{"../../../../../e", "https://r.test:5000/e"},
             Case{"..", "https://r.test:5000/v2/a/"},
             Case{".", "https://r.test:5000/v2/a/blobs/"},
             Case{"x/../y/./z/..", "https://r.test:5000/v2/a/blobs/y/"},
             Case{"/a/b/../../c", "https://r.test:5000/c"},
             Case{"/..", "https://r.test:5000/"},
             Case{"/../..//x", "https://r.test:5000//x"},
             Case{"/...", "https://r.test:5000/..."},
             Case{"/a?b=/../c", "https://r.test:5000/a?b=/../c"},
             Case{"/x#fragment", "https://r.test:5000/x"},
             Case{"https://cdn.test/x#fragment", "https://cdn.test/x"},
             Case{"#fragment", "https://r.test:5000/v2/a/blobs/d?q=1"},
         }) {
        CAPTURE(row.location);
        const auto base = parse_url("https://r.test:5000/v2/a/blobs/d?q=1");
        const auto url = resolve(*base, row.location);
        REQUIRE(url.has_value());
        CHECK(url->text() == row.expected);
    }
    const auto base = parse_url("https://r.test/a");
    for (const char* location : {"javascript:x", "ftp://a/", "https://u@a/", "//u@a/", "///x", "//", "https:///", "/a b",
                                 "/a\r\nX: y", "mailto:a@b", "data:,x", "/\\evil", "\\\\evil\\x", "https:/x", "/\xff"}) {
        CAPTURE(location);
        CHECK_FALSE(resolve(*base, location).has_value());
    }
    CHECK_FALSE(resolve(*base, "/" + std::string(url_bytes_max, 'x')).has_value());
}

TEST_CASE("url: RFC 3986 section 5.4, what concerns us") {
    const auto base = parse_url("http://a/b/c/d;p?q");
    const auto at = [&](const char* location) { return resolve(*base, location)->text(); };
    CHECK(at("g") == "http://a/b/c/g");
    CHECK(at("g/") == "http://a/b/c/g/");
    CHECK(at("g?y/./x") == "http://a/b/c/g?y/./x");
    CHECK(at(";x") == "http://a/b/c/;x");
    CHECK(at("g;x=1/../y") == "http://a/b/c/y");
    CHECK(at("../") == "http://a/b/");
    CHECK(at("../../g") == "http://a/g");
    CHECK(at("/./g") == "http://a/g");
    CHECK(at("g.") == "http://a/b/c/g.");
    CHECK(at("..g") == "http://a/b/c/..g");
    CHECK(at("./../g") == "http://a/b/g");
    CHECK(at("g/./h") == "http://a/b/c/g/h");
}

TEST_CASE("url: queries are found, extended and replaced") {
    CHECK(find_query("ns=docker.io", "ns") == "docker.io");
    CHECK(find_query("a=1&ns=upstream.test%3A5000&b=2", "ns") == "upstream.test%3A5000");
    CHECK(find_query("ns=a&ns=b", "ns") == "a");
    CHECK(find_query("ns", "ns") == "");
    CHECK(find_query("ns=", "ns") == "");
    CHECK(find_query("ns==", "ns") == "=");
    CHECK(find_query("&&ns=a&", "ns") == "a");
    CHECK_FALSE(find_query("", "ns").has_value());
    CHECK_FALSE(find_query("xns=a&nsx=b&NS=c", "ns").has_value());

    CHECK(add_query("", "service", "registry.docker.io") == "service=registry.docker.io");
    CHECK(add_query("scope=repository:x:pull,push", "service", "a b") == "scope=repository:x:pull,push&service=a%20b");
    CHECK(add_query("a=1&", "b", "2") == "a=1&b=2");
    CHECK(add_query("", "scope", "repository:library/alpine:pull") == "scope=repository%3Alibrary%2Falpine%3Apull");
    CHECK(add_query("", "a&b", "c=d&e") == "a%26b=c%3Dd%26e");
    CHECK(set_query("scope=old&service=s&scope=older", "scope", "new") == "service=s&scope=new");
    CHECK(set_query("", "scope", "new") == "scope=new");
}

TEST_CASE("url: escapes there and back") {
    std::string every;
    for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
    const std::string encoded = percent_encode(every);
    CHECK(encoded.substr(0, 6) == "%00%01");
    CHECK(percent_encode("aZ09-._~") == "aZ09-._~");
    CHECK(percent_encode("$oauthtoken") == "%24oauthtoken");
    CHECK(percent_decode(encoded) == every);
    CHECK(percent_decode("a+b%2fc") == "a+b/c");
    for (const char* bad : {"%", "%4", "%4x", "%x4", "a%", "%%41"}) CHECK_FALSE(percent_decode(bad).has_value());

    std::array<char, 4> buffer{};
    const std::string_view plain = "longer than the buffer";
    CHECK(percent_decode(plain, buffer)->data() == plain.data());
    CHECK(percent_decode("a%3A50", buffer) == "a:50");
    CHECK_FALSE(percent_decode("a%3A500", buffer).has_value());
    CHECK_FALSE(percent_decode("a%3", buffer).has_value());
}
