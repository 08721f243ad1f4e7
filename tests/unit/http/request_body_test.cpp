#include "entrepot/http/request_body.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace entrepot {
namespace {

using State = RequestBody::State;

RequestHead head_of(std::string_view framing) {
    RequestHead head;
    const std::string text = "POST /a HTTP/1.1\r\nHost: a\r\n" + std::string(framing) + "\r\n\r\n";
    REQUIRE(parse_request_head(text, head).state == ParseState::complete);
    return head;
}

struct Taken {
    State state;
    std::size_t consumed = 0;
    std::string body;
};

/// Feeds `bytes` in pieces until the body says that it has enough.
Taken take(std::string_view framing, std::string_view bytes, std::size_t bytes_max, std::size_t piece) {
    RequestBody framed(head_of(framing), bytes_max);
    Taken taken{framed.state()};
    while (taken.state == State::more && taken.consumed < bytes.size()) {
        const auto input = bytes.substr(taken.consumed, piece);
        const auto step = framed.take(bytes_of(input), taken.body);
        CHECK((step.state != State::more || step.consumed == input.size()));
        taken.state = step.state;
        taken.consumed += step.consumed;
    }
    return taken;
}

}  // namespace

TEST_CASE("request body: it ends where its framing says, however it comes, and what follows is left alone") {
    struct Row {
        std::string framing, bytes, body;
    };
    const Row rows[] = {
        {"Content-Length: 5", "hello", "hello"},
        {"Content-Length: 1", "{", "{"},
        {"Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"Transfer-Encoding: chunked", "1\r\nh\r\n4;name=\"value\"\r\nello\r\n00\r\nHost: evil\r\nContent-Length: 9\r\n\r\n",
         "hello"},
        {"Transfer-Encoding: chunked", "0\r\n\r\n", ""},
    };
    const std::string next = "GET /next HTTP/1.1\r\n";
    for (const auto& row : rows) {
        for (std::size_t piece : {1u, 2u, 3u, 7u, 1000u}) {
            CAPTURE(row.bytes);
            CAPTURE(piece);
            const auto taken = take(row.framing, row.bytes + next, 5, piece);
            CHECK(taken.state == State::complete);
            CHECK(taken.body == row.body);
            CHECK(taken.consumed == row.bytes.size());
        }
    }
}

TEST_CASE("request body: no length and a length of zero are no body") {
    for (std::string_view framing : {"X-None: 1", "Content-Length: 0"}) {
        RequestBody framed(head_of(framing), 0);
        CHECK(framed.state() == State::complete);
        std::string body;
        CHECK(framed.take(bytes_of("GET"), body).consumed == 0);
        CHECK(body.empty());
    }
}

TEST_CASE("request body: one byte past the bound is too large, as soon as it is known") {
    CHECK(RequestBody(head_of("Content-Length: 9"), 8).state() == State::too_large);
    CHECK(RequestBody(head_of("Content-Length: 18446744073709551615"), 8).state() == State::too_large);
    CHECK(take("Transfer-Encoding: chunked", "9\r\n", 8, 100).state == State::too_large);
    CHECK(take("Transfer-Encoding: chunked", "ffffffffffffffff\r\n", 8, 100).state == State::too_large);
    for (std::size_t piece : {1u, 3u, 100u}) {
        const auto taken = take("Transfer-Encoding: chunked", "4\r\nabcd\r\n4\r\nefgh\r\n1\r\ni\r\n0\r\n\r\n", 8, piece);
        CHECK(taken.state == State::too_large);
        CHECK(taken.body.size() <= 8);
        CHECK(take("Transfer-Encoding: chunked", "4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n", 8, piece).state == State::complete);
    }
}

TEST_CASE("request body: chunks that two parsers could read differently are none") {
    const std::string long_extension = "5;" + std::string(300, 'x') + "\r\nhello\r\n0\r\n\r\n";
    for (std::string bytes : std::vector<std::string>{
             "5\nhello\n0\n\n", "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n",
             "0x5\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n",
             "\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
             "5;a\nb\r\nhello\r\n0\r\n\r\n", long_extension}) {
        for (std::size_t piece : {1u, 1000u}) {
            CAPTURE(bytes);
            const auto taken = take("Transfer-Encoding: chunked", bytes, 100, piece);
            CHECK(taken.state == State::malformed);
        }
    }
}

TEST_CASE("request body: what failed stays failed") {
    RequestBody framed(head_of("Transfer-Encoding: chunked"), 100);
    std::string body;
    CHECK(framed.take(bytes_of("zz"), body).state == State::malformed);
    CHECK(framed.take(bytes_of("5\r\nhello\r\n0\r\n\r\n"), body).state == State::malformed);
    CHECK(body.empty());
}

}  // namespace entrepot
