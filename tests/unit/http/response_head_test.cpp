#include "entrepot/http/response_head.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace entrepot;

namespace {

std::string with_lines(const std::string& lines) { return "HTTP/1.1 200 OK\r\n" + lines + "\r\n"; }

ParseState verdict(const std::string& bytes) {
    ResponseHead out;
    const ParseResult result = parse_response_head(bytes, out);
    CHECK(result.status == 0);
    return result.state;
}

struct Row {
    const char* what;
    std::string bytes;
    ParseState verdict;
};

void check_rows(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        CAPTURE(row.what);
        CHECK(verdict(row.bytes) == row.verdict);
    }
}

constexpr auto good = ParseState::complete;
constexpr auto bad = ParseState::error;
constexpr auto unfinished = ParseState::incomplete;

}  // namespace

TEST_CASE("response head: all that a registry says about a manifest") {
    const std::string bytes =
        "HTTP/1.1 200 OK\r\nContent-Length: 406\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"
        "Docker-Content-Digest: sha256:54c2\r\nDocker-Distribution-Api-Version: registry/2.0\r\nETag: \"sha256:54c2\"\r\n"
        "Accept-Ranges: bytes\r\nContent-Range: bytes 0-1/2\r\nContent-Encoding: identity\r\nLocation: /x\r\nRetry-After: 5\r\n"
        "RateLimit-Limit: 100;w=21600\r\nratelimit-remaining: 99;w=21600\r\nLink: </v2/a>; rel=\"next\"\r\n"
        "OCI-Filters-Applied: artifactType\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nSet-Cookie: a=b\r\n"
        "WWW-Authenticate: Basic realm=\"x\"\r\nWWW-Authenticate: Bearer realm=\"y\"\r\nConnection: keep-alive\r\n\r\nbody";
    ResponseHead head;
    const ParseResult result = parse_response_head(bytes, head);
    REQUIRE(result.state == ParseState::complete);
    CHECK(result.consumed == bytes.size() - 4);
    CHECK(head.status == 200);
    CHECK(head.version_minor == 1);
    CHECK(head.content_length == 406);
    CHECK(head.content_type == "application/vnd.oci.image.manifest.v1+json");
    CHECK(head.docker_content_digest == "sha256:54c2");
    CHECK(head.etag == "\"sha256:54c2\"");
    CHECK(head.accept_ranges == "bytes");
    CHECK(head.content_range == "bytes 0-1/2");
    CHECK(head.content_encoding == "identity");
    CHECK(head.location == "/x");
    CHECK(head.retry_after == "5");
    CHECK(head.ratelimit_limit == "100;w=21600");
    CHECK(head.ratelimit_remaining == "99;w=21600");
    REQUIRE(head.link.size() == 1);
    CHECK(head.link[0] == "</v2/a>; rel=\"next\"");
    CHECK(head.oci_filters_applied == "artifactType");
    CHECK(head.date == "Sun, 06 Nov 1994 08:49:37 GMT");
    REQUIRE(head.www_authenticate.size() == 2);
    CHECK(head.www_authenticate[1] == "Bearer realm=\"y\"");
    CHECK(head.connection_keep_alive);

    const std::string next = "HTTP/1.0 304 Not Modified\r\n\r\n";
    REQUIRE(parse_response_head(next, head).state == ParseState::complete);
    CHECK(head.status == 304);
    CHECK(head.version_minor == 0);
    for (auto view : {head.content_type, head.location, head.docker_content_digest, head.etag, head.accept_ranges,
                      head.content_range, head.content_encoding, head.retry_after, head.ratelimit_limit, head.ratelimit_remaining,
                      head.oci_filters_applied, head.date})
        CHECK(view.data() == nullptr);
    CHECK(head.www_authenticate.empty());
    CHECK(head.link.empty());
    CHECK_FALSE(head.content_length.has_value());
    CHECK_FALSE((head.chunked || head.connection_close || head.connection_keep_alive));
}

TEST_CASE("response head: status lines") {
    check_rows({
        {"no reason, blank", "HTTP/1.1 200 \r\n\r\n", good},
        {"no reason, no blank", "HTTP/1.1 200\r\n\r\n", good},
        {"reason past 127", "HTTP/1.1 200 \xc3\xa9\r\n\r\n", good},
        {"interim", "HTTP/1.1 100 Continue\r\n\r\n", good},
        {"599", "HTTP/1.0 599 x\r\n\r\n", good},
        {"600", "HTTP/1.1 600 x\r\n\r\n", bad},
        {"999", "HTTP/1.1 999 x\r\n\r\n", bad},
        {"099", "HTTP/1.1 099 x\r\n\r\n", bad},
        {"0", "HTTP/1.1 0 x\r\n\r\n", bad},
        {"two digits", "HTTP/1.1 20 OK\r\n\r\n", bad},
        {"four digits", "HTTP/1.1 2000 OK\r\n\r\n", bad},
        {"signed", "HTTP/1.1 +20 OK\r\n\r\n", bad},
        {"hexadecimal", "HTTP/1.1 2x0 OK\r\n\r\n", bad},
        {"9.9", "HTTP/9.9 200 OK\r\n\r\n", bad},
        {"1.2", "HTTP/1.2 200 OK\r\n\r\n", bad},
        {"2", "HTTP/2 200\r\n\r\n", bad},
        {"small letters", "http/1.1 200 OK\r\n\r\n", bad},
        {"two blanks", "HTTP/1.1  200 OK\r\n\r\n", bad},
        {"ICY", "ICY 200 OK\r\n\r\n", bad},
        {"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", bad},
        {"NUL in the reason", std::string("HTTP/1.1 200 O\0K\r\n\r\n", 20), bad},
        {"100 MB of it", "HTTP/1.1 200 " + std::string(1 << 20, 'x'), bad},
    });
}

TEST_CASE("response head: what is no HTTP is known by its first bytes") {
    CHECK(verdict("\x15\x03\x01") == bad);
    CHECK(verdict("<html>") == bad);
    CHECK(verdict("HTTP/1") == unfinished);
    CHECK(verdict("HTTP/2") == bad);
    CHECK(verdict("") == unfinished);
}

TEST_CASE("response head: lines are strict") {
    check_rows({
        {"bare LF", "HTTP/1.1 200 OK\nA: b\r\n\r\n", bad},
        {"bare CR", with_lines("A: b\rc\r\n"), bad},
        {"NUL", with_lines(std::string("A: b\0\r\n", 7)), bad},
        {"folded", with_lines("A: b\r\n c\r\n"), bad},
        {"no colon", with_lines("A\r\n"), bad},
        {"empty name", with_lines(": b\r\n"), bad},
        {"blank before the colon", with_lines("A : b\r\n"), bad},
        {"empty value", with_lines("A:\r\n"), good},
        {"unfinished", "HTTP/1.1 200 OK\r\nA: b\r\n\r", unfinished},
    });
}

TEST_CASE("response head: lengths that contradict each other are errors, lengths that agree are one") {
    check_rows({
        {"two that differ", with_lines("Content-Length: 5\r\nContent-Length: 6\r\n"), bad},
        {"two that agree", with_lines("Content-Length: 5\r\nContent-Length: 5\r\n"), good},
        {"a list that agrees", with_lines("Content-Length: 5, 5\r\n"), good},
        {"a list that differs", with_lines("Content-Length: 5, 6\r\n"), bad},
        {"negative", with_lines("Content-Length: -1\r\n"), bad},
        {"empty", with_lines("Content-Length:\r\n"), bad},
        {"too large", with_lines("Content-Length: 18446744073709551616\r\n"), bad},
        {"length and chunks", with_lines("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), bad},
        {"chunks and length", with_lines("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), bad},
        {"chunks", with_lines("Transfer-Encoding: Chunked\r\n"), good},
        {"chunks twice", with_lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), bad},
        {"another coding", with_lines("Transfer-Encoding: gzip, chunked\r\n"), bad},
        {"chunks in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bad},
    });
}

TEST_CASE("response head: a field that decides what happens next must not contradict itself") {
    for (const std::string name : {"Location", "Content-Range", "Content-Type", "Content-Encoding", "Docker-Content-Digest"}) {
        CAPTURE(name);
        CHECK(verdict(with_lines(name + ": a\r\n" + name + ": a\r\n")) == good);
        CHECK(verdict(with_lines(name + ": a\r\n" + name + ": b\r\n")) == bad);
    }
    const std::string bytes = with_lines("Date: a\r\nDate: b\r\nETag: c\r\nETag: d\r\n");
    ResponseHead head;
    REQUIRE(parse_response_head(bytes, head).state == ParseState::complete);
    CHECK(head.date == "a");
    CHECK(head.etag == "c");
}

TEST_CASE("response head: where the body ends (RFC 9112 section 6.3)") {
    using Kind = BodyFraming::Kind;
    struct Case {
        const char* head;
        bool request_was_head;
        BodyFraming framing;
        bool kept;
    };
    for (const Case& row : {
             Case{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", false, {Kind::length, 7}, true},
             Case{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, {Kind::length, 0}, true},
             Case{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true, {Kind::none, 0}, true},
             Case{"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n", false, {Kind::length, 7}, false},
             Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, {Kind::chunked, 0}, true},
             Case{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, {Kind::none, 0}, true},
             Case{"HTTP/1.1 200 OK\r\n\r\n", false, {Kind::until_close, 0}, false},
             Case{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, {Kind::until_close, 0}, false},
             Case{"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n", false, {Kind::length, 1}, true},
             Case{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false, {Kind::length, 1}, false},
             Case{"HTTP/1.1 204 No Content\r\n\r\n", false, {Kind::none, 0}, true},
             Case{"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false, {Kind::none, 0}, true},
             Case{"HTTP/1.1 100 Continue\r\n\r\n", false, {Kind::none, 0}, true},
             Case{"HTTP/1.1 307 Temporary Redirect\r\n\r\n", false, {Kind::until_close, 0}, false},
         }) {
        CAPTURE(row.head);
        const std::string bytes = row.head;
        ResponseHead head;
        REQUIRE(parse_response_head(bytes, head).state == ParseState::complete);
        const BodyFraming framing = body_framing(head, row.request_was_head);
        CHECK(framing == row.framing);
        CHECK(keeps_alive(head, framing) == row.kept);
    }
}

TEST_CASE("response head: each bound holds to the byte") {
    const auto head_of = [](std::size_t bytes) {
        const std::string start = "HTTP/1.1 200 OK\r\nX: ";
        return start + std::string(bytes - start.size() - 4, 'b') + "\r\n\r\n";
    };
    CHECK(verdict(head_of(response_head_bytes_max) + "more") == good);
    CHECK(verdict(head_of(response_head_bytes_max + 1)) == bad);
    CHECK(verdict(head_of(response_head_bytes_max).substr(0, response_head_bytes_max - 1)) == unfinished);

    const auto fields = [](std::size_t count) {
        std::string lines;
        for (std::size_t i = 0; i < count; ++i) lines += "a:\r\n";
        return with_lines(lines);
    };
    CHECK(verdict(fields(response_fields_max)) == good);
    CHECK(verdict(fields(response_fields_max + 1)) == bad);
    CHECK(verdict(fields(1000)) == bad);

    std::string lines;
    for (int i = 0; i < 30; ++i) lines += "WWW-Authenticate: Basic\r\nLink: <x>\r\n";
    const std::string bytes = with_lines(lines);
    ResponseHead head;
    REQUIRE(parse_response_head(bytes, head).state == ParseState::complete);
    CHECK(head.www_authenticate.size() == response_challenge_lines_max);
    CHECK(head.link.size() == response_link_lines_max);
}

TEST_CASE("response head: pieces, moved bytes and the next response all give the same head") {
    const std::string bytes = "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 0-4/10\r\n\r\n";
    ResponseHead head;
    ResponseHeadParser parser;
    for (int round = 0; round < 2; ++round) {
        for (std::size_t size = 0; size < bytes.size(); ++size)
            REQUIRE(parser.parse(std::string_view(bytes).substr(0, size), head).state == ParseState::incomplete);
        const ParseResult result = parser.parse(bytes, head);
        REQUIRE(result.state == ParseState::complete);
        CHECK(result.consumed == bytes.size());
        CHECK(head.content_length == 5);
    }
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
        const std::string first = bytes.substr(0, cut);
        REQUIRE(parser.parse(first, head).state == ParseState::incomplete);
        REQUIRE(parser.parse(bytes, head).state == ParseState::complete);
        CHECK(head.content_range == "bytes 0-4/10");
    }
}
