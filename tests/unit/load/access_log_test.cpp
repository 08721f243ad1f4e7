#include "load/access_log.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

namespace {

/// A record as the IBM Cloud registry trace has it.
std::string record(std::string_view time, std::string_view method, std::string_view uri, int status = 200) {
    return fmt::format(
        R"({{"host": "579633fd", "http.request.duration": 0.879271282, "http.request.method": "{}", "http.request.remoteaddr": "ab86f40b",)"
        R"( "http.request.uri": "{}", "http.request.useragent": "docker/17.03.1-ce", "http.response.status": {}, "http.response.written": 1518,)"
        R"( "id": "9f63984h", "timestamp": "{}"}})",
        method, uri, status, time);
}

AccessLog good(const std::string& text) {
    auto log = parse_access_log(text, "log");
    if (!log) FAIL(log.error());
    return std::move(*log);
}

}  // namespace

TEST_CASE("access log: a trace in one array is sorted by time, and its objects are told apart") {
    auto log = good("[" + record("2017-06-20T05:29:27.500Z", "GET", "v2/ca64/as87/blobs/b26s") + ",\n" +
                    record("2017-06-20T05:29:26.250Z", "HEAD", "v2/ca64/as87/manifests/m1", 404) + "," +
                    record("2017-06-20T05:29:28.000Z", "PUT", "v2/ca64/as87/manifests/m1") + "," +
                    record("2017-06-20T05:29:30.250Z", "GET", "v2/ca64/as87/blobs/b26s") + "]");
    REQUIRE(log.requests.size() == 3);
    CHECK(log.passed_over == 1);
    CHECK(log.paths == std::vector<std::string>{"/v2/ca64/as87/blobs/b26s", "/v2/ca64/as87/manifests/m1"});
    CHECK(log.requests[0].head);
    CHECK(log.requests[0].at == 0ns);
    CHECK(log.requests[0].status == 404);
    CHECK(log.requests[1].at == 1250ms);
    CHECK(log.requests[1].object == 0);
    CHECK(log.requests[2].at == 4s);
    CHECK(log.requests[2].object == 0);
}

TEST_CASE("access log: one record a line is read as well") {
    auto log = good(record("2026-01-31T23:59:59Z", "GET", "/v2/a/manifests/1") + "\n\n" +
                    record("2026-02-01T00:00:01Z", "GET", "/v2/a/manifests/1") + "\n");
    CHECK(log.requests.size() == 2);
    CHECK(log.paths.size() == 1);
    CHECK(log.requests[1].at == 2s);
}

TEST_CASE("access log: the common and the combined format are read, with their zones") {
    auto log = good(
        "127.0.0.1 - - [20/Jun/2017:05:29:26 +0000] \"GET /v2/a/blobs/x?ns=docker.io HTTP/1.1\" 200 1233 \"-\" \"docker/17\"\n"
        "10.0.0.7 - bob [20/Jun/2017:07:29:28 +0200] \"HEAD /v2/a/manifests/1 HTTP/1.1\" 404 0\n"
        "10.0.0.7 - - [20/Jun/2017:00:29:29 -0500] \"GET /v2/a/blobs/x?ns=docker.io HTTP/1.1\" 206 12\n"
        "10.0.0.7 - - [20/Jun/2017:00:29:30 -0500] \"POST /v2/a/blobs/uploads/ HTTP/1.1\" 202 0\n");
    REQUIRE(log.requests.size() == 3);
    CHECK(log.passed_over == 1);
    CHECK(log.requests[1].at == 2s);
    CHECK(log.requests[1].status == 404);
    CHECK(log.requests[2].at == 3s);
    CHECK(log.requests[2].object == 0);
    CHECK(log.paths[0] == "/v2/a/blobs/x?ns=docker.io");
}

TEST_CASE("access log: what cannot be read is told with its place") {
    const std::string line = "127.0.0.1 - - [20/Jun/2017:05:29:26 +0000] \"GET /v2/ HTTP/1.1\" 200 2\n";
    const std::pair<std::string, std::string> rows[] = {
        {"", "log holds no GET or HEAD"},
        {"\n \n", "log holds no GET or HEAD"},
        {"[]", "log holds no GET or HEAD"},
        {"[1]", "log:1: not a JSON object"},
        {"[{", "log begins like a JSON array and is none"},
        {record("2017-06-20T05:29:26Z", "GET", "/a") + "\n{\n", "log:2: not a JSON object"},
        {record("yesterday", "GET", "/a"), "log:1: no usable timestamp"},
        {record("2017-06-20T05:29:26Z", "GET", ""), "log:1: no usable URI"},
        {record("2017-06-20T05:29:26Z", "GET", "/a b"), "log:1: an unusable character in the URI"},
        {record("2017-06-20T05:29:26Z", "GET", "/a\\r\\nHost: x"), "log:1: an unusable character in the URI"},
        {record("2017-06-20T05:29:26Z", "GET", "/" + std::string(8192, 'a')), "log:1: no usable URI"},
        {record("2017-06-20T05:29:26Z", "PUT", "/a"), "log holds no GET or HEAD"},
        {line + "what is this\n", "log:2: not a line of the common log format"},
        {"127.0.0.1 - - [20/Jux/2017:05:29:26 +0000] \"GET / HTTP/1.1\" 200 2", "log:1: no usable timestamp"},
        {"127.0.0.1 - - [20/Jun/2017:25:29:26 +0000] \"GET / HTTP/1.1\" 200 2", "log:1: no usable timestamp"},
        {"127.0.0.1 - - [20/Jun/2017:05:29:26 +0000] \"GET\" 200 2", "log:1: no usable URI"},
    };
    for (const auto& [text, told] : rows) {
        auto log = parse_access_log(text, "log");
        REQUIRE(!log);
        CHECK(log.error() == told);
    }
    CHECK(parse_access_log("[" + record("2017-06-20T05:29:26Z", "GET", "/" + std::string(8191, 'a')) + "]", "log"));
}

TEST_CASE("access log: timestamps to the nanosecond, across leap days") {
    CHECK(*parse_timestamp("1970-01-01T00:00:00Z") == 0);
    CHECK(*parse_timestamp("2017-07-01T01:39:37.098Z") == 1'498'873'177'098'000'000);
    CHECK(*parse_timestamp("2024-02-29T12:00:00.000000001Z") == 1'709'208'000'000'000'001);
    CHECK(*parse_timestamp("2024-03-01 00:00:00") - *parse_timestamp("2024-02-28 00:00:00") == 2 * 86'400'000'000'000);
    for (const char* text : {"", "2024", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z", "2024-01-32T00:00:00Z",
                             "2024-01-01T24:00:00Z", "2024-01-01T00:61:00Z", "2024-01-01T00:00:00Zx", "x024-01-01T00:00:00Z"})
        CHECK(!parse_timestamp(text));
}
