#include "load/connection.h"

#include "support/loopback.h"

#include <doctest/doctest.h>

#include <memory>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: x\r\n";

/// A connection of the load, and its server's end to write answers by hand.
struct Talk {
    explicit Talk(Duration patience = 5s) : pair(loop) {
        tally->count_from(Instant{});
        connection = std::make_unique<Connection>(std::move(pair.client), Origin{"http", "x", 80}, patience);
    }
    ~Talk() { loop.run(connection->close()); }

    void answer(std::string text) { REQUIRE(loop.run(send_text(*pair.server, std::move(text)))); }
    void hang_up() { pair.close(pair.server, CloseHow::orderly); }
    void break_off() { pair.close(pair.server, CloseHow::abort); }
    /// The server reads the request too: with unread bytes its end would be an RST.
    std::optional<Trouble> ask(bool is_head = false) {
        auto trouble = loop.run(connection->ask(request, "\r\n", is_head));
        if (pair.server) {
            auto read = loop.run(pair.server->receive(soon()));
            CHECK(read);
        }
        return trouble;
    }
    std::optional<Trouble> take(Body& body) { return loop.run(connection->take(body)); }
    Body body(Body::Use use = Body::Use::drop) { return Body(use, *tally, live); }

    TestLoop loop;
    Loopback pair;
    std::unique_ptr<Tally> tally = std::make_unique<Tally>();
    Live live;
    std::unique_ptr<Connection> connection;
};

}  // namespace

TEST_CASE("load connection: an answer with a length is taken to its end, and the connection asks again") {
    Talk talk;
    for (int turn = 0; turn < 3; ++turn) {
        talk.answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        CHECK(!talk.ask());
        CHECK(talk.connection->head().status == 200);
        auto body = talk.body(Body::Use::keep);
        CHECK(!talk.take(body));
        CHECK(body.text() == "hello");
        CHECK(body.first_byte_at() >= talk.connection->head_at());
        CHECK(talk.connection->reusable());
    }
    CHECK(talk.tally->bytes() == 15);
}

TEST_CASE("load connection: a long body is dropped without being read, and counted to the byte") {
    Talk talk;
    const std::size_t length = 3'000'000;
    auto sending = send_text(*talk.pair.server, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + patterned(length));
    CHECK(!talk.ask());
    auto body = talk.body();
    CHECK(!talk.take(body));
    CHECK(talk.loop.run(std::move(sending)));
    CHECK(body.received() == length);
    CHECK(talk.connection->reusable());
}

TEST_CASE("load connection: a hashed body is hashed from its first byte to its last") {
    Talk talk;
    auto content = patterned(500'000);
    auto sending = send_text(*talk.pair.server, "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + content);
    CHECK(!talk.ask());
    auto body = talk.body();
    body.hash_with(DigestAlgorithm::sha256);
    CHECK(!talk.take(body));
    CHECK(talk.loop.run(std::move(sending)));
    CHECK(*body.digest() == Digest::of(bytes_of(content)));
}

TEST_CASE("load connection: chunked bodies and bodies up to the end of the connection are whole") {
    Talk talk;
    talk.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    CHECK(!talk.ask());
    auto chunked = talk.body(Body::Use::keep);
    CHECK(!talk.take(chunked));
    CHECK(chunked.text() == "hello world");
    CHECK(talk.connection->reusable());
    talk.answer("HTTP/1.1 200 OK\r\n\r\nto the end");
    CHECK(!talk.ask());
    talk.hang_up();
    auto open_ended = talk.body(Body::Use::keep);
    CHECK(!talk.take(open_ended));
    CHECK(open_ended.text() == "to the end");
    CHECK(!talk.connection->reusable());
}

TEST_CASE("load connection: interim answers are read past, but not without end") {
    {
        Talk talk;
        talk.answer("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
        CHECK(!talk.ask());
        CHECK(talk.connection->head().status == 204);
    }
    Talk endless;
    std::string many;
    for (int count = 0; count < 17; ++count) many += "HTTP/1.1 100 Continue\r\n\r\n";
    endless.answer(many);
    CHECK(endless.ask() == Trouble::bad_message);
}

TEST_CASE("load connection: a HEAD has no body, whatever its length says") {
    Talk talk;
    talk.answer("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    CHECK(!talk.ask(true));
    auto body = talk.body();
    CHECK(!talk.take(body));
    CHECK(talk.connection->reusable());
}

TEST_CASE("load connection: each way to fail has its name") {
    {
        Talk talk;
        talk.answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        CHECK(!talk.ask());
        talk.hang_up();
        auto body = talk.body();
        CHECK(talk.take(body) == Trouble::short_body);
        CHECK(body.received() == 9);
        CHECK(!talk.connection->reusable());
    }
    {
        Talk talk;
        talk.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
        CHECK(!talk.ask());
        talk.break_off();
        auto body = talk.body();
        CHECK(talk.take(body) == Trouble::short_body);
    }
    {
        Talk talk;
        talk.hang_up();
        CHECK(talk.ask() == Trouble::closed);
        CHECK(talk.connection->silent());
    }
    {
        Talk talk;
        talk.answer("SSH-2.0-OpenSSH\r\n\r\n");
        CHECK(talk.ask() == Trouble::bad_message);
        CHECK(!talk.connection->silent());
    }
    {
        Talk talk(30ms);
        CHECK(talk.ask() == Trouble::timeout);
    }
    {
        Talk talk(30ms);
        talk.answer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        CHECK(!talk.ask());
        auto body = talk.body();
        CHECK(talk.take(body) == Trouble::timeout);
    }
}

TEST_CASE("load connection: a head of 64 KiB is read, and a longer one is no message") {
    for (bool too_long : {false, true}) {
        Talk talk;
        std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
        while (head.size() < response_head_bytes_max - 2000) head += "X-Filler: " + std::string(900, 'x') + "\r\n";
        head += "X-Last: " + std::string(response_head_bytes_max - head.size() - 12 + (too_long ? 1 : 0), 'y') + "\r\n\r\n";
        CHECK(head.size() == response_head_bytes_max + (too_long ? 1 : 0));
        auto sending = send_text(*talk.pair.server, head);
        auto trouble = talk.ask();
        CHECK(talk.loop.run(std::move(sending)));
        CHECK(trouble.has_value() == too_long);
    }
}

TEST_CASE("load connection: a slow reader takes as long as its rate says") {
    Talk talk;
    auto sending = send_text(*talk.pair.server, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + patterned(20'000));
    CHECK(talk.loop.run(std::move(sending)));
    CHECK(!talk.ask());
    auto body = talk.body();
    body.read_slowly(100'000);
    auto begun = now();
    CHECK(!talk.take(body));
    // Up to 4 KiB came with the head, and the last read is not waited for.
    CHECK(now() - begun >= 100ms);
    CHECK(body.received() == 20'000);
    CHECK(body.portion() == 5000);
}

TEST_CASE("load connection: a kept manifest has a bound") {
    Talk talk;
    auto body = talk.body(Body::Use::keep);
    std::vector<std::byte> piece(1 * MiB);
    for (int count = 0; count < 4; ++count) body.take(piece);
    CHECK(!body.too_large());
    body.take(Bytes(piece).first(1));
    CHECK(body.too_large());
    CHECK(body.text().size() == Body::kept_bytes_max);
    talk.answer("HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(!talk.ask());
}
