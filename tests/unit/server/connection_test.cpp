#include "entrepot/server/connection.h"

#include "support/raw_client.h"

namespace entrepot {
namespace {

/// Answers with what it was asked; "/wait" is held until the test lets it go.
class Echo final : public RequestHandler {
  public:
    Task<After> handle(Exchange& exchange) override {
        ++asked;
        std::string body(exchange.head().path);
        bool waits = body == "/wait", aborts = body == "/abort";
        if (reads_max > 0) {
            auto read = co_await exchange.read_body(reads_max);
            if (!read && (read.error().code == Code::closed || read.error().code == Code::reset)) co_return After::abort;
            body += ": ";
            body += read ? *read : std::string(name_of(read.error().code));
        }
        if (releases || waits) exchange.release_head();
        while (waits && !let_go) (void)co_await changed.wait();
        std::array<char, 512> space;
        HeadWriter writer(space);
        exchange.begin(writer, 200);
        auto head = writer.field("Content-Length", body.size() + (aborts ? 1 : 0)).finish();
        auto bytes = exchange.is_head_request() ? Bytes() : bytes_of(body);
        auto deadline = soon();
        auto sent = co_await exchange.stream().send(bytes_of(*head), bytes, false, deadline);
        co_return sent && !aborts ? exchange.finished() : After::abort;
    }
    std::string refuse(std::uint16_t status, std::string_view message) override {
        return std::to_string(status) + " " + std::string(message);
    }

    int asked = 0;
    bool releases = false, let_go = false;
    std::size_t reads_max = 0;  // how much of a body it reads; none: as the registry
    Condition changed;
};

std::string get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n"; }

}  // namespace

TEST_CASE("connection: a hundred requests in one segment are answered in order, whether the handler gives its head back or not") {
    for (bool releases : {false, true}) {
        CAPTURE(releases);
        TestLoop loop;
        Echo echo;
        echo.releases = releases;
        ServedPort port(loop, echo);
        RawClient client(loop, port);
        std::string all;
        for (int i = 0; i < 100; ++i) all += get("/" + std::to_string(i));
        client.write(all);
        for (int i = 0; i < 100; ++i) {
            auto answer = client.read();
            REQUIRE(answer.status == 200);
            REQUIRE(answer.body == "/" + std::to_string(i));
        }
        CHECK(echo.asked == 100);
    }
}

TEST_CASE("connection: requests that come byte by byte, or split anywhere, are the same requests") {
    TestLoop loop;
    Echo echo;
    echo.releases = true;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    for (char byte : get("/slowly") + get("/again")) {
        client.write(std::string(1, byte));
        loop->turn(Instant{0});
    }
    CHECK(client.read().body == "/slowly");
    CHECK(client.read().body == "/again");
    auto two = get("/first") + get("/second");
    for (std::size_t split = 1; split < two.size(); split += 7) {
        client.write(two.substr(0, split));
        loop.run_for(milliseconds(1));
        client.write(two.substr(split));
        REQUIRE(client.read().body == "/first");
        REQUIRE(client.read().body == "/second");
    }
}

TEST_CASE("connection: a head larger than one receive buffer is put together, one beyond 32 KiB is refused") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    std::string fields;
    for (int i = 0; i < 10; ++i) fields += "X-Long: " + std::string(3'000, 'x') + "\r\n";
    client.write("GET /large HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n" + get("/next"));
    CHECK(client.read().body == "/large");
    CHECK(client.read().body == "/next");
    client.write("GET /larger HTTP/1.1\r\nHost: localhost\r\n" + fields + fields + "\r\n");
    auto answer = client.read();
    CHECK(answer.status == 431);
    CHECK(answer.field("Connection") == "close");
    CHECK(answer.body.starts_with("431 "));
    CHECK(echo.asked == 2);
}

TEST_CASE("connection: TLS on a plain port is told so in words") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    client.write(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11));
    auto answer = client.read();
    CHECK(answer.status == 400);
    CHECK(answer.body == "This port speaks plain HTTP, not TLS.\n");
    CHECK(echo.asked == 0);
}

TEST_CASE("connection: what is no request ends with its status and the connection") {
    struct Row {
        std::string sent;
        int status;
    };
    const Row rows[] = {
        {"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"HEAD / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"nonsense\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
        {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414},
    };
    for (auto& row : rows) {
        CAPTURE(row.status);
        TestLoop loop;
        Echo echo;
        ServedPort port(loop, echo);
        RawClient client(loop, port);
        client.write(row.sent);
        auto answer = client.read();
        CHECK(answer.status == row.status);
        CHECK(answer.field("Connection") == "close");
        CHECK(client.at_end());
        CHECK(echo.asked == 0);
    }
}

TEST_CASE("connection: after a request with a body nothing more is read from it") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    client.write("POST /push HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n" + get("/smuggled"));
    auto answer = client.read();
    CHECK(answer.status == 200);
    CHECK(answer.field("Connection") == "close");
    CHECK(client.at_end());
    CHECK(echo.asked == 1);
}

TEST_CASE("connection: a body that is read to its end keeps the connection, and requests behind it stay what they are") {
    for (bool releases : {false, true}) {
        TestLoop loop;
        Echo echo;
        echo.reads_max = 100;
        echo.releases = releases;
        ServedPort port(loop, echo);
        RawClient client(loop, port);
        std::string fixed = "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
        std::string chunked =
            "POST /b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n";
        std::string empty = "DELETE /c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
        auto all = fixed + chunked + empty + get("/d");
        auto read_all = [&] {
            for (std::string body : {"/a: hello", "/b: hello", "/c: ", "/d: "}) {
                auto answer = client.read();
                CHECK(answer.body == body);
                CHECK(answer.field("Connection").empty());
            }
        };
        client.write(all);
        read_all();
        for (std::size_t split = 1; split < all.size(); split += 5) {
            client.write(all.substr(0, split));
            loop.run_for(milliseconds(1));
            client.write(all.substr(split));
            read_all();
        }
        for (char byte : all) {
            client.write(std::string(1, byte));
            loop->turn(Instant{0});
        }
        read_all();
    }
}

TEST_CASE("connection: a body of many receive buffers arrives whole, and a request in its last one is answered") {
    TestLoop loop;
    Echo echo;
    echo.reads_max = 300'000;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    auto large = patterned(300'000);
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + large + get("/next"));
    CHECK(client.read().body == "/a: " + large);
    CHECK(client.read().body == "/next: ");
}

TEST_CASE("connection: who waits for 100 Continue is told once somebody reads, and nobody else is") {
    TestLoop loop;
    Echo echo;
    echo.reads_max = 100;
    ServedPort port(loop, echo);
    const std::string expecting = "PUT /a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ";
    RawClient client(loop, port);
    client.write(expecting + "5\r\n\r\n");
    CHECK(client.read(true).status == 100);
    client.write("hello");
    CHECK(client.read().body == "/a: hello");
    client.write(expecting + "5\r\n\r\nhello");  // on its way already
    CHECK(client.read().body == "/a: hello");
    client.write(expecting + "0\r\n\r\n");  // nothing to send
    CHECK(client.read().body == "/a: ");
    client.write(expecting + "101\r\n\r\n");  // refused for its head
    CHECK(client.read().body == "/a: too_large");
    CHECK(client.at_end());
    echo.reads_max = 0;
    RawClient unread(loop, port);
    unread.write(expecting + "5\r\n\r\n");
    auto answer = unread.read();
    CHECK(answer.status == 200);
    CHECK(answer.field("Connection") == "close");
    CHECK(unread.at_end());
}

TEST_CASE("connection: a body that breaks its framing or the bound is refused, and nothing behind it is a request") {
    struct Row {
        std::string framing_and_body, said;
    };
    for (auto& row : {Row{"Content-Length: 101\r\n\r\n" + std::string(101, 'x'), "/a: too_large"},
                      Row{"Transfer-Encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'x') + "\r\n0\r\n\r\n", "/a: too_large"},
                      Row{"Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n", "/a: bad_message"},
                      Row{"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", "/a: bad_message"}}) {
        CAPTURE(row.framing_and_body);
        TestLoop loop;
        Echo echo;
        echo.reads_max = 100;
        ServedPort port(loop, echo);
        RawClient client(loop, port);
        client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\n" + row.framing_and_body + get("/smuggled"));
        auto answer = client.read();
        CHECK(answer.body == row.said);
        CHECK(answer.field("Connection") == "close");
        CHECK(client.at_end());
        CHECK(echo.asked == 1);
    }
}

TEST_CASE("connection: two lengths, or a length beside chunks, never reach a handler") {
    for (std::string framing :
         {"Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5", "Content-Length: 5\r\nTransfer-Encoding: chunked",
          "Transfer-Encoding: chunked\r\nContent-Length: 5", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
          "Transfer-Encoding: chunked, identity", "Content-Length: +5", "Content-Length: 0x5",
          "Content-Length: 18446744073709551616"}) {
        CAPTURE(framing);
        TestLoop loop;
        Echo echo;
        echo.reads_max = 100;
        ServedPort port(loop, echo);
        RawClient client(loop, port);
        client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\n" + framing + "\r\n\r\nhello" + get("/smuggled"));
        auto answer = client.read();
        CHECK(answer.status == 400);
        CHECK(answer.field("Connection") == "close");
        CHECK(client.at_end());
        CHECK(echo.asked == 0);
    }
}

TEST_CASE("connection: a client that leaves before its body ended gets no answer") {
    TestLoop loop;
    Echo echo;
    echo.reads_max = 100;
    ServedPort port(loop, echo);
    for (auto how : {CloseHow::orderly, CloseHow::abort}) {
        RawClient client(loop, port);
        client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nhello");
        loop.run_for(milliseconds(5));
        client.leave(how);
        loop.run_until([&] { return port.connections.open() == 0; });
    }
    CHECK(echo.asked == 2);
}

TEST_CASE("connection: a body has a pace and an end, and one that keeps the pace may take until then") {
    TestLoop loop;
    Echo echo;
    echo.reads_max = 10'000;
    Connections::Options options;
    options.body_pace_time = milliseconds(100);
    options.body_pace_bytes_min = 100;
    options.body_timeout = milliseconds(400);
    ServedPort port(loop, echo, options);
    const std::string head = "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n";
    struct Row {
        std::size_t piece;
        int pieces;
        Duration at_least, at_most;
    };
    // Nothing, a trickle, and enough of it for ever: 100 ms, 100 ms and 400 ms.
    for (auto& row : {Row{0, 0, milliseconds(100), milliseconds(350)}, Row{1, 4, milliseconds(100), milliseconds(350)},
                      Row{200, 20, milliseconds(400), seconds(5)}}) {
        CAPTURE(row.piece);
        RawClient client(loop, port);
        auto begun = now();
        client.write(head);
        for (int i = 0; i < row.pieces; ++i) {
            loop.run_for(milliseconds(20));
            client.write(std::string(row.piece, 'x'));
        }
        auto answer = client.read();
        CHECK(answer.body == "/a: timeout");
        CHECK(now() - begun >= row.at_least);
        CHECK(now() - begun <= row.at_most);
        CHECK(client.at_end());
    }
}

TEST_CASE("connection: a stop ends a body that does not come") {
    TestLoop loop;
    Echo echo;
    echo.reads_max = 100;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nhello");
    loop.run_until([&] { return echo.asked == 1; });
    port.connections.interrupt();
    loop.run_until([&] { return port.connections.open() == 0; });
}

TEST_CASE("connection: a head has one deadline from its first byte, however steadily bytes come") {
    TestLoop loop;
    Echo echo;
    Connections::Options options;
    options.head_timeout = milliseconds(60);
    ServedPort port(loop, echo, options);
    RawClient client(loop, port);
    auto begun = now();
    client.write("GET /");
    for (int i = 0; i < 4; ++i) {
        loop.run_for(milliseconds(10));
        client.write("x");
    }
    auto answer = client.read();
    CHECK(answer.status == 408);
    CHECK(now() - begun >= options.head_timeout);
    CHECK(client.at_end());
}

TEST_CASE("connection: an idle connection ends without a word") {
    TestLoop loop;
    Echo echo;
    Connections::Options options;
    options.idle_timeout = milliseconds(30);
    ServedPort port(loop, echo, options);
    RawClient client(loop, port);
    CHECK(client.ask("GET /one").body == "/one");
    CHECK(client.at_end());
    loop.run_until([&] { return port.connections.open() == 0; });
}

TEST_CASE("connection: HTTP/1.0 and Connection: close end after the answer, as the answer says") {
    for (auto request : {"GET /a HTTP/1.0\r\n\r\n", "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"}) {
        TestLoop loop;
        Echo echo;
        ServedPort port(loop, echo);
        RawClient client(loop, port);
        client.write(request);
        auto answer = client.read();
        CHECK(answer.body == "/a");
        CHECK(answer.field("Connection") == "close");
        CHECK(client.at_end());
    }
}

TEST_CASE("connection: HEAD is answered without a body and the connection goes on") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    auto answer = client.ask("HEAD /abc");
    CHECK(answer.field("Content-Length") == "4");
    CHECK_FALSE(answer.field("Date").empty());
    CHECK(client.ask("GET /next").body == "/next");
}

TEST_CASE("connection: an HTTP/1.0 client that asks to stay is told that it may") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    for (int i = 0; i < 2; ++i) {
        client.write("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        auto answer = client.read();
        CHECK(answer.body == "/a");
        CHECK(answer.field("Connection") == "keep-alive");
    }
    CHECK(client.ask("GET /b").field("Connection").empty());
}

TEST_CASE("connection: a HEAD that is refused has no body either") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    client.write("HEAD / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
    auto answer = client.read(true);
    CHECK(answer.status == 400);
    CHECK_FALSE(answer.field("Content-Length").empty());
    CHECK(client.at_end());
}

TEST_CASE("connection: what comes while it drains does not turn the last answer into a reset") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    client.write(get("/wait"));
    loop.run_until([&] { return echo.asked == 1; });
    port.connections.drain();
    // Begun before the drain, so it was promised to stay; what is asked next comes too late, and must not hurt what was answered.
    client.write(get("/late"));
    echo.let_go = true;
    echo.changed.notify_all();
    CHECK(client.read().body == "/wait");
    CHECK(client.at_end());
    CHECK(echo.asked == 1);
}

TEST_CASE("connection: an incomplete body ends by force, so that it cannot look complete") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient client(loop, port);
    (void)client.ask("GET /abort");
    CHECK(client.failed);
}

TEST_CASE("connection: draining ends idle connections at once and busy ones after their answer") {
    TestLoop loop;
    Echo echo;
    ServedPort port(loop, echo);
    RawClient idle(loop, port), busy(loop, port);
    CHECK(idle.ask("GET /one").body == "/one");
    busy.write(get("/wait"));
    loop.run_until([&] { return echo.asked == 2; });
    CHECK(port.connections.open() == 2);
    port.connections.drain();
    loop.run_until([&] { return port.connections.open() == 1; });
    CHECK(idle.at_end());
    echo.let_go = true;
    echo.changed.notify_all();
    CHECK(busy.read().body == "/wait");
    CHECK(busy.at_end());
    loop.run_until([&] { return port.connections.open() == 0; });
    // Who comes now is not kept.
    RawClient late(loop, port);
    CHECK(late.at_end());
}

TEST_CASE("connection: when all places are taken the next waits for one") {
    TestLoop loop;
    Echo echo;
    Connections::Options options;
    options.connections_max = 1;
    ServedPort port(loop, echo, options);
    {
        RawClient only(loop, port);
        CHECK(only.ask("GET /one").body == "/one");
        CHECK_FALSE(loop.run(port.connections.slot(now() + milliseconds(5))));
    }
    CHECK(loop.run(port.connections.slot(soon())));
    port.connections.give_back_slot();
}

}  // namespace entrepot
