#include "entrepot/http/request_head.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <vector>

using namespace entrepot;

namespace {

const std::string host_line = "Host: r.test\r\n";

// A request with these lines between a proper request line with Host and the empty line.
std::string with_lines(const std::string& lines) { return "GET /v2/ HTTP/1.1\r\n" + host_line + lines + "\r\n"; }

ParseResult parse(const std::string& bytes, RequestHead& out) { return parse_request_head(bytes, out); }
ParseResult parse(const std::string& bytes) {
    RequestHead out;
    return parse_request_head(bytes, out);
}

// 0 for an accepted head, the status for a refused one, -1 for one that has not ended.
int verdict(const std::string& bytes) {
    const ParseResult result = parse(bytes);
    if (result.state == ParseState::incomplete) return -1;
    if (result.state == ParseState::complete) return 0;
    CHECK(result.state == ParseState::error);
    return result.status;
}

// The same bytes, arriving one by one at one address.
ParseResult parse_byte_by_byte(const std::string& bytes, RequestHead& out) {
    RequestHeadParser parser;
    for (std::size_t size = 0; size <= bytes.size(); ++size) {
        const ParseResult result = parser.parse(std::string_view(bytes.data(), size), out);
        if (result.state != ParseState::incomplete) return result;
    }
    return {};
}

struct Row {
    const char* what;
    std::string bytes;
    int verdict;
};

void check_rows(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(verdict(row.bytes) == row.verdict);
        RequestHead out;
        const ParseResult slow = parse_byte_by_byte(row.bytes, out);
        CHECK((slow.state == ParseState::complete) == (row.verdict == 0));
        CHECK((slow.state == ParseState::error) == (row.verdict > 0));
    }
}

}  // namespace

TEST_CASE("request head: what containerd asks a mirror for") {
    const std::string bytes =
        "GET /v2/library/busybox/blobs/sha256:23d0ba9d?ns=docker.io HTTP/1.1\r\n"
        "Host: 127.0.0.1:5110\r\n"
        "User-Agent: containerd/1.6.20~ds1\r\n"
        "Accept: application/vnd.oci.image.layer.v1.tar+gzip, */*\r\n"
        "Accept-Encoding: gzip\r\n"
        "Range: bytes=1024-\r\n"
        "\r\nNEXT";
    RequestHead head;
    const ParseResult result = parse(bytes, head);
    REQUIRE(result.state == ParseState::complete);
    CHECK(result.consumed == bytes.size() - 4);
    CHECK(head.method == Method::get);
    CHECK(head.version_minor == 1);
    CHECK(head.target == "/v2/library/busybox/blobs/sha256:23d0ba9d?ns=docker.io");
    CHECK(head.path == "/v2/library/busybox/blobs/sha256:23d0ba9d");
    CHECK(head.query == "ns=docker.io");
    CHECK(head.host == "127.0.0.1:5110");
    CHECK(head.user_agent == "containerd/1.6.20~ds1");
    CHECK(head.range == "bytes=1024-");
    REQUIRE(head.accept.size() == 1);
    CHECK(head.accept[0] == "application/vnd.oci.image.layer.v1.tar+gzip, */*");
    CHECK(head.if_none_match.empty());
    CHECK_FALSE(head.content_length.has_value());
    CHECK_FALSE(head.chunked);
    CHECK(keeps_alive(head));
    CHECK_FALSE(has_body(head));
}

TEST_CASE("request head: docker's many Accept lines come in their order, and its Connection: close is heard") {
    const std::string bytes = with_lines(
        "accept: application/vnd.oci.image.manifest.v1+json\r\n"
        "ACCEPT: application/vnd.docker.distribution.manifest.v2+json\r\n"
        "Accept:application/vnd.oci.image.index.v1+json\t \r\n"
        "Connection: close\r\n");
    RequestHead head;
    REQUIRE(parse(bytes, head).state == ParseState::complete);
    REQUIRE(head.accept.size() == 3);
    CHECK(head.accept[0] == "application/vnd.oci.image.manifest.v1+json");
    CHECK(head.accept[2] == "application/vnd.oci.image.index.v1+json");
    CHECK_FALSE(keeps_alive(head));
}

TEST_CASE("request head: every field that has a place gets there, whatever its case") {
    const std::string bytes = with_lines(
        "RANGE: bytes=0-1\r\nIF-RANGE: \"a\"\r\nAuthorization: Bearer x\r\nuser-AGENT: one\r\nUser-Agent: two\r\n"
        "If-None-Match: \"a\"\r\nif-none-match: \"b\"\r\nContent-Type: application/json\r\nOrigin: http://r.test\r\n"
        "Sec-Fetch-Site: same-origin\r\nExpect: 100-Continue\r\nContent-Length: 0017\r\nX-Other: y\r\n");
    RequestHead head;
    REQUIRE(parse(bytes, head).state == ParseState::complete);
    CHECK(head.range == "bytes=0-1");
    CHECK(head.if_range == "\"a\"");
    CHECK(head.authorization == "Bearer x");
    CHECK(head.user_agent == "one");
    REQUIRE(head.if_none_match.size() == 2);
    CHECK(head.if_none_match[1] == "\"b\"");
    CHECK(head.content_type == "application/json");
    CHECK(head.origin == "http://r.test");
    CHECK(head.sec_fetch_site == "same-origin");
    CHECK(head.expect_continue);
    CHECK(head.content_length == 17);
    CHECK(has_body(head));
}

TEST_CASE("request head: names that only resemble ours are ignored") {
    RequestHead head;
    REQUIRE(parse(with_lines("Ranges: bytes=0-1\r\nX-Range: bytes=0-1\r\nAccep_: a/b\r\nContent_Length: 5\r\n"
                             "Transfer_Encoding: chunked\r\nAuthorizatiom: x\r\nIf-None-Natch: *\r\n"),
                  head)
                .state == ParseState::complete);
    CHECK(head.range.empty());
    CHECK(head.accept.empty());
    CHECK(head.authorization.empty());
    CHECK(head.if_none_match.empty());
    CHECK_FALSE(has_body(head));
}

TEST_CASE("request head: an object that is used again keeps nothing of the request before") {
    RequestHead head;
    REQUIRE(
        parse("POST http://a.test/x?y=z HTTP/1.1\r\nHost: b.test\r\nRange: bytes=0-1\r\nIf-Range: \"a\"\r\nAccept: a/b\r\n"
              "If-None-Match: *\r\nAuthorization: q\r\nUser-Agent: u\r\nContent-Type: t/t\r\nOrigin: o\r\nSec-Fetch-Site: s\r\n"
              "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\nConnection: close, keep-alive\r\n\r\n",
              head)
            .state == ParseState::complete);
    const std::string second = "GET / HTTP/1.0\r\n\r\n";
    REQUIRE(parse(second, head).state == ParseState::complete);
    CHECK(head.method == Method::get);
    CHECK(head.version_minor == 0);
    CHECK(head.target == "/");
    CHECK(head.path == "/");
    for (auto view : {head.query, head.host, head.range, head.if_range, head.authorization, head.user_agent, head.content_type,
                      head.origin, head.sec_fetch_site})
        CHECK(view.data() == nullptr);
    CHECK(head.accept.empty());
    CHECK(head.if_none_match.empty());
    CHECK_FALSE(head.content_length.has_value());
    CHECK_FALSE((head.chunked || head.expect_continue || head.connection_close || head.connection_keep_alive));
}

TEST_CASE("request head: a length and chunks never stand together, and neither stands twice") {
    check_rows({
        {"length then chunks", with_lines("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
        {"chunks then length", with_lines("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
        {"two lengths", with_lines("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
        {"the same length twice", with_lines("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
        {"a list of lengths", with_lines("Content-Length: 5,5\r\n"), 400},
        {"signed", with_lines("Content-Length: +5\r\n"), 400},
        {"negative", with_lines("Content-Length: -5\r\n"), 400},
        {"hexadecimal", with_lines("Content-Length: 0x5\r\n"), 400},
        {"blank inside", with_lines("Content-Length: 5 5\r\n"), 400},
        {"empty", with_lines("Content-Length:\r\n"), 400},
        {"largest", with_lines("Content-Length: 18446744073709551615\r\n"), 0},
        {"one too large", with_lines("Content-Length: 18446744073709551616\r\n"), 400},
        {"chunked", with_lines("Transfer-Encoding: chunked\r\n"), 0},
        {"chunked in capitals", with_lines("Transfer-Encoding: CHUNKED \r\n"), 0},
        {"chunked twice", with_lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
        {"chunked in a list twice", with_lines("Transfer-Encoding: chunked, chunked\r\n"), 400},
        {"gzip, chunked", with_lines("Transfer-Encoding: gzip, chunked\r\n"), 400},
        {"chunked, identity", with_lines("Transfer-Encoding: chunked, identity\r\n"), 400},
        {"identity", with_lines("Transfer-Encoding: identity\r\n"), 501},
        {"gzip", with_lines("Transfer-Encoding: gzip\r\n"), 501},
        {"xchunked", with_lines("Transfer-Encoding: xchunked\r\n"), 501},
        {"quoted", with_lines("Transfer-Encoding: \"chunked\"\r\n"), 400},
        {"vertical tab",
         with_lines("Transfer-Encoding: \x0b"
                    "chunked\r\n"),
         400},
        {"empty coding", with_lines("Transfer-Encoding:\r\n"), 400},
        {"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    });
}

TEST_CASE("request head: lines end with CRLF and nothing else, and no control byte passes") {
    using namespace std::string_literals;
    check_rows({
        {"bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
        {"bare LF after a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400},
        {"bare LF as the last line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
        {"all LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
        {"CR as separator", "GET / HTTP/1.1\rHost: a\r\r", 400},
        {"CR in a value", with_lines("X: a\rb\r\n"), 400},
        {"CR CR LF", with_lines("X: a\r\r\n"), 400},
        {"NUL in a value", with_lines("X: a\0b\r\n"s), 400},
        {"NUL in a name", with_lines("X\0: a\r\n"s), 400},
        {"NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s, 400},
        {"DEL in a value", with_lines("X: a\x7f\r\n"), 400},
        {"ESC in a value", with_lines("X: a\x1b[2J\r\n"), 400},
        {"ESC in the target", "GET /\x1b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"tab in a value", with_lines("X: a\tb\r\n"), 0},
        {"bytes past 127 in a value", with_lines("X: \xc3\xa9\xff\r\n"), 0},
        {"bytes past 127 in a name", with_lines("X\xc3\xa9: a\r\n"), 400},
        {"bytes past 127 in the target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    });
}

TEST_CASE("request head: of all bytes, at any place of a value, only control bytes are refused") {
    for (int byte = 0; byte < 256; ++byte) {
        CAPTURE(byte);
        const bool is_allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        for (std::size_t at = 0; at < 40; ++at) {
            std::string value(40, 'v');
            value[at] = static_cast<char>(byte);
            CHECK(verdict(with_lines("X: " + value + "\r\n")) == (is_allowed ? 0 : 400));
        }
    }
}

TEST_CASE("request head: field names") {
    check_rows({
        {"empty name", with_lines(": x\r\n"), 400},
        {"no colon", with_lines("Foo\r\n"), 400},
        {"blank before the colon", with_lines("Foo : x\r\n"), 400},
        {"tab before the colon", with_lines("Foo\t: x\r\n"), 400},
        {"blank in the name", with_lines("Fo o: x\r\n"), 400},
        {"folded line", with_lines("Foo: x\r\n y\r\n"), 400},
        {"folded line with a tab", with_lines("Foo: x\r\n\ty\r\n"), 400},
        {"first line folded", "GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400},
        {"underscore", with_lines("X_Y: x\r\n"), 0},
        {"all token characters", with_lines("!#$%&'*+-.^_`|~09az: x\r\n"), 0},
        {"parenthesis", with_lines("X(Y): x\r\n"), 400},
        {"quote", with_lines("X\"Y\": x\r\n"), 400},
        {"slash", with_lines("X/Y: x\r\n"), 400},
        {"at sign", with_lines("X@Y: x\r\n"), 400},
        {"empty value", with_lines("X:\r\n"), 0},
        {"blank value", with_lines("X:  \t \r\n"), 0},
    });
}

TEST_CASE("request head: exactly one valid Host in HTTP/1.1") {
    const auto with_host = [](const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; };
    const std::string label(63, 'a');
    check_rows({
        {"none", "GET / HTTP/1.1\r\n\r\n", 400},
        {"none in 1.0", "GET / HTTP/1.0\r\n\r\n", 0},
        {"two", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"two alike", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"two in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"empty", with_host(""), 400},
        {"name and port", with_host("registry.example.com:5000"), 0},
        {"IPv4", with_host("127.0.0.1:5000"), 0},
        {"IPv6", with_host("[::1]:5000"), 0},
        {"IPv6 without port", with_host("[2001:db8::1]"), 0},
        {"IPv6 broken", with_host("[::1"), 400},
        {"IPv6 bad", with_host("[::g]"), 400},
        {"IPv6 zone", with_host("[fe80::1%25eth0]"), 400},
        {"IPv6 without brackets", with_host("::1"), 400},
        {"user information", with_host("user@a.test"), 400},
        {"path", with_host("a.test/x"), 400},
        {"blank", with_host("a b"), 400},
        {"comma", with_host("a, b"), 400},
        {"percent", with_host("a%41"), 400},
        {"port 0", with_host("a:0"), 400},
        {"port 65535", with_host("a:65535"), 0},
        {"port 65536", with_host("a:65536"), 400},
        {"port empty", with_host("a:"), 400},
        {"port not a number", with_host("a:8x"), 400},
        {"two ports", with_host("a:80:80"), 400},
        {"253 bytes", with_host(label + "." + label + "." + label + "." + std::string(61, 'b')), 0},
        {"254 bytes", with_host(label + "." + label + "." + label + "." + std::string(62, 'b')), 400},
        {"256 bytes", with_host(std::string(256, 'a')), 400},
        {"label of 64", with_host(std::string(64, 'a')), 400},
        {"underscore", with_host("my_registry:5000"), 0},
        {"trailing dot", with_host("a.test."), 0},
        {"empty label", with_host("a..test"), 400},
        {"bytes past 127", with_host("\xc3\xa9.test"), 400},
    });
}

TEST_CASE("request head: targets") {
    const auto with_target = [](const std::string& target) { return "GET " + target + " HTTP/1.1\r\n" + host_line + "\r\n"; };
    check_rows({
        {"root", with_target("/"), 0},
        {"all that RFC 3986 allows", with_target("/-._~!$&'()*+,;=:@/%20?/?a=%3A%2f"), 0},
        {"asterisk", "OPTIONS * HTTP/1.1\r\n" + host_line + "\r\n", 400},
        {"authority", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 400},
        {"relative", with_target("v2/"), 400},
        {"empty", "GET  HTTP/1.1\r\n" + host_line + "\r\n", 400},
        {"blank inside", with_target("/a b"), 400},
        {"leading blank", with_target(" /"), 400},
        {"trailing blank", with_target("/ "), 400},
        {"tab inside", with_target("/a\tb"), 400},
        {"fragment", with_target("/#x"), 400},
        {"backslash", with_target("/a\\b"), 400},
        {"quote", with_target("/\""), 400},
        {"angle brackets", with_target("/<x>"), 400},
        {"CRLF escaped in the name", with_target("/v2/a%0d%0aX:%20y/manifests/1"), 400},
        {"CRLF escaped in the query", with_target("/v2/?ns=a%0D%0AX"), 400},
        {"NUL escaped", with_target("/%00"), 400},
        {"DEL escaped", with_target("/%7f"), 400},
        {"unit separator escaped", with_target("/%1F"), 400},
        {"tab escaped", with_target("/%09"), 400},
        {"blank escaped", with_target("/%20"), 0},
        {"half an escape", with_target("/%4"), 400},
        {"a lone percent", with_target("/%"), 400},
        {"not hexadecimal", with_target("/%zz"), 400},
        {"absolute", with_target("http://a.test/v2/"), 0},
        {"absolute in capitals", with_target("HTTP://a.test/v2/"), 0},
        {"absolute https", with_target("https://a.test:443/v2/"), 0},
        {"absolute without path", with_target("http://a.test"), 0},
        {"absolute without host", with_target("http:///v2/"), 400},
        {"absolute with user", with_target("http://u@a.test/"), 400},
        {"absolute with bad port", with_target("http://a.test:99999/"), 400},
        {"another scheme", with_target("ftp://a.test/"), 400},
        {"absolute, but no Host", "GET http://a.test/ HTTP/1.1\r\n\r\n", 400},
        {"absolute, but bad Host", "GET http://a.test/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    });
}

TEST_CASE("request head: an absolute target names the host, whatever Host says") {
    RequestHead head;
    const std::string full = "GET http://a.test:5000/v2/?n=1 HTTP/1.1\r\nHost: b.test\r\n\r\n";
    REQUIRE(parse(full, head).state == ParseState::complete);
    CHECK(head.host == "a.test:5000");
    CHECK(head.path == "/v2/");
    CHECK(head.query == "n=1");
    const std::string bare = "GET https://a.test?n=1 HTTP/1.1\r\nHost: b.test\r\n\r\n";
    REQUIRE(parse(bare, head).state == ParseState::complete);
    CHECK(head.path == "/");
    CHECK(head.query == "n=1");
}

TEST_CASE("request head: versions and methods") {
    const auto with_version = [](const std::string& version) { return "GET / " + version + "\r\n" + host_line + "\r\n"; };
    const auto with_method = [](const std::string& method) { return method + " / HTTP/1.1\r\n" + host_line + "\r\n"; };
    check_rows({
        {"1.0", with_version("HTTP/1.0"), 0},
        {"1.1", with_version("HTTP/1.1"), 0},
        {"1.2", with_version("HTTP/1.2"), 505},
        {"2.0", with_version("HTTP/2.0"), 505},
        {"0.9", with_version("HTTP/0.9"), 505},
        {"1.10", with_version("HTTP/1.10"), 400},
        {"1.", with_version("HTTP/1."), 400},
        {"small letters", with_version("http/1.1"), 400},
        {"another protocol", with_version("HTCP/1.1"), 400},
        {"trailing blank", with_version("HTTP/1.1 "), 400},
        {"none", "GET /\r\n\r\n", 400},
        {"none, no blank", "GET\r\n\r\n", 400},
        {"h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET", with_method("GET"), 0},
        {"DELETE", with_method("DELETE"), 0},
        {"get", with_method("get"), 400},
        {"Get", with_method("Get"), 400},
        {"GE T", with_method("GE T"), 400},
        {"G=", with_method("G=\":<>\""), 400},
        {"unknown", with_method("PROPFIND"), 501},
        {"unknown with a dash", with_method("M-SEARCH"), 501},
        {"32 bytes", with_method(std::string(32, 'A')), 501},
        {"33 bytes", with_method(std::string(33, 'A')), 400},
        {"1 MiB", with_method(std::string(1 << 20, 'A')), 400},
        {"empty", with_method(""), 400},
    });
    RequestHead head;
    for (Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch, Method::del, Method::options,
                          Method::trace, Method::connect}) {
        REQUIRE(parse(with_method(std::string(name_of(method))), head).state == ParseState::complete);
        CHECK(head.method == method);
    }
}

TEST_CASE("request head: a TLS hello is known by its first byte") {
    RequestHead head;
    CHECK(parse("\x16", head).state == ParseState::tls_hello);
    CHECK(parse("\x16\x03\x01\x02", head).state == ParseState::tls_hello);
    CHECK(verdict("\r\n\x16\x03\x01") == 400);
}

TEST_CASE("request head: what is no HTTP is refused before a line has ended") {
    CHECK(verdict(" ") == 400);
    CHECK(verdict("{\"a\":") == 400);
    CHECK(verdict("\x80\x2e\x01") == 400);
    CHECK(verdict("\n") == 400);
    CHECK(verdict(std::string(33, 'A')) == 400);
    CHECK(verdict(std::string(1 << 20, ' ')) == 400);
    CHECK(verdict("GET / HTTP/1.1") == -1);
    CHECK(verdict("") == -1);
}

TEST_CASE("request head: two empty lines before a request are forgiven, a third is not") {
    const std::string request = with_lines("");
    CHECK(verdict("\r\n" + request) == 0);
    CHECK(verdict("\r\n\r\n" + request) == 0);
    CHECK(verdict("\r\n\r\n\r\n" + request) == 400);
    CHECK(verdict("\r\n\r\n\r\n") == 400);
    RequestHead head;
    CHECK(parse("\r\n" + request, head).consumed == request.size() + 2);
}

TEST_CASE("request head: a known expectation is noted, an unknown one is 417, and a broken head stays 400") {
    RequestHead head;
    REQUIRE(parse(with_lines("Expect: 100-continue\r\n"), head).state == ParseState::complete);
    CHECK(head.expect_continue);
    REQUIRE(parse("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", head).state == ParseState::complete);
    CHECK_FALSE(head.expect_continue);
    check_rows({
        {"unknown", with_lines("Expect: 200-ok\r\n"), 417},
        {"known and unknown", with_lines("Expect: 100-continue, x\r\n"), 417},
        {"unknown in a broken head", with_lines("Expect: x\r\nY : z\r\n"), 400},
    });
}

TEST_CASE("request head: fields that may stand once") {
    check_rows({
        {"two Range", with_lines("Range: bytes=0-1\r\nRange: bytes=0-1\r\n"), 400},
        {"two Range, one empty", with_lines("Range:\r\nRange: bytes=0-1\r\n"), 400},
        {"two Authorization", with_lines("Authorization: a\r\nAuthorization: b\r\n"), 400},
        {"two If-Range", with_lines("If-Range: \"a\"\r\nIf-Range: \"a\"\r\n"), 400},
        {"two User-Agent", with_lines("User-Agent: a\r\nUser-Agent: b\r\n"), 0},
        {"Upgrade and the unknown", with_lines("Upgrade: h2c\r\nX-HTTP-Method-Override: DELETE\r\nX-Original-URL: /x\r\n"), 0},
    });
}

TEST_CASE("request head: who keeps the connection") {
    struct Case {
        const char* version;
        const char* connection;
        bool kept;
    };
    for (const Case& row :
         {Case{"1.1", "", true}, Case{"1.1", "Connection: close\r\n", false},
          Case{"1.1", "Connection: Keep-Alive, CLOSE\r\n", false},
          Case{"1.1", "Connection: upgrade\r\nConnection: close\r\n", false}, Case{"1.1", "Connection: closed\r\n", true},
          Case{"1.0", "", false}, Case{"1.0", "Connection: keep-alive\r\n", true},
          Case{"1.0", "Connection: keep-alive, close\r\n", false}}) {
        CAPTURE(row.version);
        CAPTURE(row.connection);
        RequestHead head;
        REQUIRE(parse("GET / HTTP/" + std::string(row.version) + "\r\nHost: a\r\n" + row.connection + "\r\n", head).state ==
                ParseState::complete);
        CHECK(keeps_alive(head) == row.kept);
    }
}

TEST_CASE("request head: each bound holds to the byte") {
    // One header line of exactly 16 KiB, then one more byte.
    CHECK(verdict(with_lines("X: " + std::string(request_field_bytes_max - 3, 'a') + "\r\n")) == 0);
    CHECK(verdict(with_lines("X: " + std::string(request_field_bytes_max - 2, 'a') + "\r\n")) == 431);
    CHECK(verdict("GET / HTTP/1.1\r\nX: " + std::string(request_field_bytes_max - 3, 'a')) == -1);
    CHECK(verdict("GET / HTTP/1.1\r\nX: " + std::string(request_field_bytes_max - 2, 'a')) == 431);

    // A head of exactly 32 KiB.
    const auto head_of = [](std::size_t bytes) {
        const std::string start =
            "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(16000, 'a') + "\r\nY: " + std::string(4000, 'a') + "\r\nZ: ";
        return start + std::string(bytes - start.size() - 4, 'b') + "\r\n\r\n";
    };
    REQUIRE(head_of(request_head_bytes_max).size() == request_head_bytes_max);
    CHECK(verdict(head_of(request_head_bytes_max) + "more") == 0);
    CHECK(verdict(head_of(request_head_bytes_max + 1)) == 431);
    CHECK(verdict(head_of(request_head_bytes_max + 1).substr(0, request_head_bytes_max)) == 431);
    CHECK(verdict(head_of(request_head_bytes_max).substr(0, request_head_bytes_max - 1)) == -1);

    // 100 fields with Host, then 101, then very many.
    const auto fields = [](int count) {
        std::string lines;
        for (int i = 0; i < count; ++i) lines += "a:\r\n";
        return lines;
    };
    CHECK(verdict(with_lines(fields(99))) == 0);
    CHECK(verdict(with_lines(fields(100))) == 431);
    CHECK(verdict(with_lines(fields(8000))) == 431);

    // The target, complete and not.
    const auto target_of = [](std::size_t bytes) { return "GET /" + std::string(bytes - 1, 'a'); };
    const std::string rest = " HTTP/1.1\r\n" + host_line + "\r\n";
    CHECK(verdict(target_of(request_target_bytes_max) + rest) == 0);
    CHECK(verdict(target_of(request_target_bytes_max + 1) + rest) == 414);
    CHECK(verdict(target_of(request_target_bytes_max)) == -1);
    CHECK(verdict(target_of(20000)) == 414);

    // Lines that are kept.
    const auto lines = [](const std::string& line, std::size_t count) {
        std::string all;
        for (std::size_t i = 0; i < count; ++i) all += line;
        return all;
    };
    CHECK(verdict(with_lines(lines("Accept: a/b\r\n", request_accept_lines_max))) == 0);
    CHECK(verdict(with_lines(lines("Accept: a/b\r\n", request_accept_lines_max + 1))) == 431);
    CHECK(verdict(with_lines(lines("If-None-Match: *\r\n", request_if_none_match_lines_max))) == 0);
    CHECK(verdict(with_lines(lines("If-None-Match: *\r\n", request_if_none_match_lines_max + 1))) == 431);
}

TEST_CASE("request head: one byte at a time gives the same head") {
    const std::string bytes =
        "\r\nHEAD /v2/a/manifests/1?ns=docker.io HTTP/1.1\r\nHost: a.test:5000\r\nAccept: a/b\r\nAccept: c/d\r\n"
        "If-None-Match: \"x\"\r\nConnection: close\r\nX-Long: " +
        std::string(100, 'x') + "\r\n\r\n";
    RequestHead head;
    const ParseResult result = parse_byte_by_byte(bytes, head);
    REQUIRE(result.state == ParseState::complete);
    CHECK(result.consumed == bytes.size());
    CHECK(head.method == Method::head);
    CHECK(head.path == "/v2/a/manifests/1");
    CHECK(head.query == "ns=docker.io");
    CHECK(head.host == "a.test:5000");
    CHECK(head.accept.size() == 2);
    CHECK(head.if_none_match.size() == 1);
    CHECK(head.connection_close);
}

TEST_CASE("request head: bytes that move between calls are parsed from the start") {
    const std::string whole = with_lines("Accept: a/b\r\nRange: bytes=0-\r\n");
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
        CAPTURE(cut);
        const std::string first = whole.substr(0, cut);
        const std::string second = whole;
        RequestHead head;
        RequestHeadParser parser;
        REQUIRE(parser.parse(first, head).state == ParseState::incomplete);
        const ParseResult result = parser.parse(second, head);
        REQUIRE(result.state == ParseState::complete);
        CHECK(result.consumed == whole.size());
        CHECK(head.accept.size() == 1);
        CHECK(head.path.data() == second.data() + 4);
        CHECK(head.range == "bytes=0-");
    }
}

TEST_CASE("request head: a hundred pipelined requests come out one by one") {
    std::string bytes;
    for (int i = 0; i < 100; ++i) bytes += "GET /" + std::to_string(i) + " HTTP/1.1\r\n" + host_line + "\r\n";
    std::string_view rest = bytes;
    RequestHeadParser parser;
    RequestHead head;
    for (int i = 0; i < 100; ++i) {
        const ParseResult result = parser.parse(rest, head);
        REQUIRE(result.state == ParseState::complete);
        CHECK(head.path == "/" + std::to_string(i));
        rest.remove_prefix(result.consumed);
    }
    CHECK(rest.empty());
    CHECK(parser.parse(rest, head).state == ParseState::incomplete);
}

TEST_CASE("request head: a 32 KiB head sent byte by byte takes linear time") {
    // Looking at everything anew for each byte would read half a gigabyte; the worst machine does this in far less.
    std::string bytes = "GET /" + std::string(8000, 'a') + " HTTP/1.1\r\n";
    for (int i = 0; i < 90; ++i) bytes += "X-Field: " + std::string(250, 'b') + "\r\n";
    bytes += "Host: a\r\n\r\n";
    REQUIRE(bytes.size() < request_head_bytes_max);
    const auto start = std::chrono::steady_clock::now();
    RequestHead head;
    for (int round = 0; round < 10; ++round) REQUIRE(parse_byte_by_byte(bytes, head).state == ParseState::complete);
    const auto per_byte = (std::chrono::steady_clock::now() - start) / (10 * bytes.size());
    CHECK(per_byte < std::chrono::microseconds(2));
}
