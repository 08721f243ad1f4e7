#include "entrepot/net/plain_stream.h"

#include "support/loopback.h"

#include <doctest/doctest.h>

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

/// A file in the temporary directory that has no name any more.
class TemporaryFile {
  public:
    explicit TemporaryFile(std::string_view content) {
        char name[] = "/var/tmp/entrepot-test-XXXXXX";
        fd_ = ::mkstemp(name);
        REQUIRE(fd_ >= 0);
        ::unlink(name);
        REQUIRE(::write(fd_, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    }
    ~TemporaryFile() { ::close(fd_); }
    int fd() const { return fd_; }

  private:
    int fd_;
};

Task<Result<std::string>> receive_text(Stream& stream) {
    auto deadline = soon();
    auto chunk = co_await stream.receive(deadline);
    if (!chunk) co_return chunk.error();
    co_return std::string(text_of(chunk->bytes()));
}

/// As a caller does whose file is sure to be in memory: after a long wait for the peer it just goes on.
Task<Result<void>> send_whole(Stream& stream, int file, std::uint64_t length, Duration patience) {
    for (std::uint64_t sent = 0; sent < length;) {
        auto deadline = Loop::current().time() + patience;
        auto more = co_await stream.send_file(file, sent, length - sent, deadline);
        if (!more) co_return more.error();
        sent += *more;
    }
    co_return {};
}

/// Remembers what it is told.
struct Ends final : EndWatch {
    void peer_ended(bool by_force) noexcept override { ++(by_force ? forced : ordered); }
    int forced = 0, ordered = 0;
};

Error error_of(const Result<std::string>& result) {
    REQUIRE(!result);
    return result.error();
}

}  // namespace

TEST_CASE("plain stream: bytes pass both ways, and the peer's end is an empty chunk") {
    TestLoop loop;
    Loopback pair(loop);
    REQUIRE(loop.run(send_text(*pair.client, "question")));
    CHECK(*loop.run(receive_text(*pair.server)) == "question");
    REQUIRE(loop.run(send_text(*pair.server, "answer")));
    CHECK(*loop.run(receive_text(*pair.client)) == "answer");
    CHECK(!pair.server->is_tls());
    pair.close(pair.client, CloseHow::orderly);
    CHECK(*loop.run(receive_text(*pair.server)) == "");
    // And stays one.
    CHECK(*loop.run(receive_text(*pair.server)) == "");
}

TEST_CASE("plain stream: head and body arrive as one run of bytes, whatever their sizes") {
    TestLoop loop;
    Loopback pair(loop);
    for (auto [head_bytes, body_bytes] : {std::pair{0, 0}, {5, 0}, {0, 7}, {300, 2048}, {1, 3'000'000}, {3'000'000, 1}}) {
        auto head = patterned(static_cast<std::size_t>(head_bytes), 7), body = patterned(static_cast<std::size_t>(body_bytes), 8);
        auto reading = read_all(*pair.client, head.size() + body.size());
        REQUIRE(loop.run(pair.server->send(bytes_of(head), bytes_of(body), false, soon())));
        auto got = loop.run(std::move(reading));
        REQUIRE(got);
        CHECK((*got == head + body));
    }
}

TEST_CASE("plain stream: a peer that only finished sending still gets the answer") {
    TestLoop loop;
    Loopback pair(loop);
    REQUIRE(loop.run(send_text(*pair.client, "last words")));
    // The upstream stream has no half close of its own: the far end of a linger does exactly that.
    auto closing = pair.client->close(CloseHow::linger);
    CHECK(*loop.run(read_all(*pair.server)) == "last words");
    REQUIRE(loop.run(send_text(*pair.server, "a late answer")));
    pair.close(pair.server, CloseHow::orderly);
    loop.run(std::move(closing));
    pair.client.reset();
}

TEST_CASE("plain stream: an aborted connection is a reset at the peer, never an ordered end") {
    TestLoop loop;
    Loopback pair(loop);
    REQUIRE(loop.run(send_text(*pair.server, "half a bo")));
    CHECK(*loop.run(receive_text(*pair.client)) == "half a bo");
    pair.close(pair.server, CloseHow::abort);
    CHECK(error_of(loop.run(receive_text(*pair.client))) == Error{Fault::upstream, Code::reset, ECONNRESET});

    pair.close(pair.client, CloseHow::orderly);
    pair.open_pair();
    auto waiting = receive_text(*pair.server);  // with the multishot armed
    loop.run_for(5ms);
    pair.close(pair.client, CloseHow::abort);
    CHECK(error_of(loop.run(std::move(waiting))) == Error{Fault::client, Code::reset, ECONNRESET});
}

TEST_CASE("plain stream: a deadline ends a wait to read, and the stream can be read afterwards") {
    TestLoop loop;
    Loopback pair(loop);
    for (auto* end : {pair.server.get(), pair.client.get()}) {
        auto started = now();
        auto result = loop.run(end->receive(now() + 30ms));
        REQUIRE(!result);
        CHECK(result.error().code == Code::timeout);
        CHECK(now() - started >= 30ms);
        CHECK(now() - started < 1s);
    }
    REQUIRE(loop.run(send_text(*pair.client, "late")));
    CHECK(*loop.run(receive_text(*pair.server)) == "late");
    REQUIRE(loop.run(send_text(*pair.server, "late too")));
    CHECK(*loop.run(receive_text(*pair.client)) == "late too");
}

TEST_CASE("plain stream: a deadline ends a wait to write to a peer that does not read") {
    TestLoop loop;
    Loopback pair(loop);
    auto much = patterned(64 * MiB);
    auto sent = loop.run(pair.server->send({}, bytes_of(much), false, now() + 50ms));
    REQUIRE(!sent);
    CHECK(sent.error() == Error{Fault::client, Code::timeout, ETIMEDOUT});
}

TEST_CASE("plain stream: what is sent after the peer reset is a reset") {
    TestLoop loop;
    Loopback pair(loop);
    pair.close(pair.client, CloseHow::abort);
    loop.run_for(5ms);
    auto sent = loop.run(send_text(*pair.server, "anybody?"));
    REQUIRE(!sent);
    CHECK(sent.error().code == Code::reset);
}

TEST_CASE("plain stream: interrupt ends a pending read and every later call with a reset") {
    TestLoop loop;
    Loopback one(loop), other(loop);
    for (auto* end : {one.server.get(), other.client.get()}) {
        auto reading = end->receive(soon());
        loop.run_for(2ms);
        CHECK(!reading.done());
        end->interrupt();
        auto result = loop.run(std::move(reading));
        REQUIRE(!result);
        CHECK(result.error().code == Code::reset);
        CHECK(loop.run(end->receive(soon())).error().code == Code::reset);
        CHECK(loop.run(send_text(*end, "x")).error().code == Code::reset);
    }
}

TEST_CASE("plain stream: interrupt ends a pending write") {
    TestLoop loop;
    Loopback pair(loop);
    auto sending = send_text(*pair.server, patterned(64 * MiB));
    loop.run_for(5ms);
    REQUIRE(!sending.done());
    pair.server->interrupt();
    CHECK(loop.run(std::move(sending)).error().code == Code::reset);
}

TEST_CASE("plain stream: receive_into fills what fits and keeps the rest for the next call of either kind") {
    TestLoop loop;
    Loopback pair(loop);
    for (auto [from, to] : {std::pair{pair.client.get(), pair.server.get()}, {pair.server.get(), pair.client.get()}}) {
        REQUIRE(loop.run(send_text(*from, "0123456789")));
        std::byte four[4];
        CHECK(*loop.run(to->receive_into(four, soon())) == 4);
        CHECK(text_of(four) == "0123");
        CHECK(*loop.run(to->receive_into(four, soon())) == 4);
        CHECK(text_of(four) == "4567");
        CHECK(*loop.run(receive_text(*to)) == "89");
    }
    pair.close(pair.client, CloseHow::orderly);
    std::byte one[1];
    CHECK(*loop.run(pair.server->receive_into(one, soon())) == 0);
}

TEST_CASE("plain stream: a flood that nobody reads takes no buffer from the other connections") {
    auto options = TestLoop::small_ring();
    options.provided_buffers = 8;  // fewer than one burst of one connection
    TestLoop loop(options);
    Loopback flooded(loop), quiet(loop);
    auto flood = patterned(2 * MiB);
    auto sending = send_text(*flooded.client, flood);
    auto first = loop.run(flooded.server->receive(soon()));
    REQUIRE(first);
    auto got = std::string(text_of(first->bytes()));
    first->release();
    loop.run_for(20ms);

    for (int round = 0; round < 50; ++round) {
        REQUIRE(loop.run(send_text(*quiet.client, "ping")));
        CHECK(*loop.run(receive_text(*quiet.server)) == "ping");
    }
    while (got.size() < flood.size()) {
        auto more = loop.run(receive_text(*flooded.server));
        REQUIRE(more);
        got += *more;
    }
    CHECK((got == flood));
    REQUIRE(loop.run(std::move(sending)));
}

TEST_CASE("plain stream: with every provided buffer lent, connections still receive in memory of their own") {
    auto options = TestLoop::small_ring();
    options.provided_buffers = 2;
    TestLoop loop(options);
    constexpr int count = 6;
    std::vector<std::unique_ptr<Loopback>> pairs;
    for (int i = 0; i < count; ++i) pairs.push_back(std::make_unique<Loopback>(loop));
    std::vector<Chunk> lent;
    for (auto& pair : pairs) {
        REQUIRE(loop.run(send_text(*pair->client, "held for long")));
        auto chunk = loop.run(pair->server->receive(soon()));
        REQUIRE(chunk);
        CHECK(text_of(chunk->bytes()) == "held for long");
        lent.push_back(std::move(*chunk));
    }
    lent.clear();
    // Afterwards the provided buffers serve again.
    for (auto& pair : pairs) {
        REQUIRE(loop.run(send_text(*pair->client, "again")));
        CHECK(*loop.run(receive_text(*pair->server)) == "again");
    }
}

TEST_CASE("plain stream: connections that come and go leave every buffer with the ring") {
    auto options = TestLoop::small_ring();
    options.provided_buffers = 4;
    TestLoop loop(options);
    Loopback pair(loop);
    for (int i = 0; i < 100; ++i) {
        CAPTURE(i);
        REQUIRE(loop.run(send_text(*pair.client, patterned(20'000))));
        // Odd rounds close with bytes unread, even rounds after a part was read.
        if (i % 2 == 0) REQUIRE(loop.run(receive_text(*pair.server)));
        bool client_first = i % 3 == 0;
        if (client_first) pair.close(pair.client, CloseHow::orderly);
        pair.close(pair.server, i % 5 == 0 ? CloseHow::abort : CloseHow::orderly);
        if (!client_first) pair.close(pair.client, CloseHow::orderly);
        pair.open_pair();
    }
    std::vector<std::unique_ptr<Loopback>> others;
    std::vector<Chunk> lent;
    for (int i = 0; i < 4; ++i) {
        others.push_back(std::make_unique<Loopback>(loop));
        REQUIRE(loop.run(send_text(*others.back()->client, "x")));
        auto chunk = loop.run(others.back()->server->receive(soon()));
        REQUIRE(chunk);
        lent.push_back(std::move(*chunk));
    }
    // Four different provided buffers, none of them lost on the way.
    for (auto& chunk : lent) {
        for (auto& other : lent) {
            if (&chunk != &other) CHECK(chunk.bytes().data() != other.bytes().data());
        }
    }
    lent.clear();
}

TEST_CASE("plain stream: a file of 10 MB arrives as it is, from any offset") {
    TestLoop loop;
    Loopback pair(loop);
    auto content = patterned(10'000'000);
    TemporaryFile file(content);
    for (std::size_t offset : {std::size_t{0}, std::size_t{4095}, content.size() - 3}) {
        auto length = content.size() - offset;
        auto reading = read_all(*pair.client, length);
        REQUIRE(loop.run(pair.server->send_file(file.fd(), offset, length, soon())));
        auto got = loop.run(std::move(reading));
        REQUIRE(got);
        CHECK((*got == content.substr(offset)));
    }
}

TEST_CASE("plain stream: a file shorter than promised is the disk's fault, and what left of it is told first") {
    TestLoop loop;
    Loopback pair(loop);
    auto content = patterned(100'000);
    TemporaryFile file(content);
    auto reading = read_all(*pair.client, content.size());
    auto sent = loop.run(pair.server->send_file(file.fd(), 0, content.size() + 6, soon()));
    REQUIRE(sent);
    CHECK(*sent == content.size());
    CHECK((*loop.run(std::move(reading)) == content));
    auto beyond = loop.run(pair.server->send_file(file.fd(), content.size(), 6, soon()));
    REQUIRE(!beyond);
    CHECK(beyond.error() == Error{Fault::storage, Code::corrupt, 0});
}

TEST_CASE("plain stream: sending a file bounds each wait for the peer, not the whole") {
    TestLoop loop;
    Loopback pair(loop);
    auto content = patterned(40 * MiB);
    TemporaryFile file(content);
    // Stalls for good: the patience ends.
    auto stalled = loop.run(pair.server->send_file(file.fd(), 0, content.size(), now() + 60ms));
    REQUIRE(!stalled);
    CHECK(stalled.error().code == Code::timeout);
    pair.close(pair.server, CloseHow::abort);
    pair.close(pair.client, CloseHow::abort);
    pair.open_pair();

    // Reads slowly for longer than the patience: that is fine.
    constexpr auto patience = 400ms;
    auto sending = send_whole(*pair.server, file.fd(), content.size(), patience);
    auto started = now();
    std::vector<std::byte> buffer(8 * MiB);
    std::size_t got = 0;
    while (got < content.size()) {
        auto count = loop.run(pair.client->receive_into(buffer, soon()));
        REQUIRE(count);
        got += *count;
        if (now() - started < 2 * patience) loop.run_for(20ms);
    }
    CHECK(loop.run(std::move(sending)));
    CHECK(now() - started > patience);
}

TEST_CASE("plain stream: what a peer does not take within our patience is no error, and is said") {
    TestLoop loop;
    Loopback pair(loop);
    auto content = patterned(40 * MiB);
    auto some = loop.run(pair.server->send_some(bytes_of(content), false, now() + 60ms));
    REQUIRE(some);
    CHECK(*some > 0);
    CHECK(*some < content.size());
    auto none = loop.run(pair.server->send_some(bytes_of(content).subspan(*some), false, now() + 20ms));
    REQUIRE(none);
    CHECK(*none < content.size() - *some);

    std::vector<std::byte> buffer(8 * MiB);
    std::size_t got = 0;
    while (got < *some + *none) {
        auto count = loop.run(pair.client->receive_into(buffer, soon()));
        REQUIRE(count);
        REQUIRE(std::equal(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*count),
                           bytes_of(content).begin() + static_cast<std::ptrdiff_t>(got)));
        got += *count;
    }
    CHECK(got == *some + *none);
    auto rest = loop.run(pair.server->send_some(bytes_of(content).first(1000), false, soon()));
    REQUIRE(rest);
    CHECK(*rest == 1000);
    pair.close(pair.client, CloseHow::abort);
    loop.run_for(20ms);
    auto gone = loop.run(pair.server->send_some(bytes_of(content), false, soon()));
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == Code::reset);
}

TEST_CASE("plain stream: after a long wait for the peer a file is looked at again") {
    TestLoop loop;
    Loopback pair(loop);
    auto content = patterned(40 * MiB);
    TemporaryFile file(content);
    auto sending = pair.server->send_file(file.fd(), 0, content.size(), soon());
    loop.run_for(150ms);
    std::vector<std::byte> buffer(8 * MiB);
    std::size_t got = 0;
    while (!sending.done()) got += *loop.run(pair.client->receive_into(buffer, soon()));
    auto sent = loop.run(std::move(sending));
    REQUIRE(sent);
    CHECK(*sent > 0);
    CHECK(*sent < content.size());
    while (got < *sent) got += *loop.run(pair.client->receive_into(buffer, soon()));
    CHECK(got == *sent);
}

TEST_CASE("plain stream: waiting for bytes takes none of them, on either end") {
    TestLoop loop;
    Loopback pair(loop);
    for (auto* ends : {&pair.client, &pair.server}) {
        auto& reader = **ends;
        auto& writer = ends == &pair.client ? *pair.server : *pair.client;
        auto in_vain = loop.run(reader.until_readable(now() + 20ms));
        REQUIRE(!in_vain);
        CHECK(in_vain.error().code == Code::timeout);
        REQUIRE(loop.run(send_text(writer, "some")));
        REQUIRE(loop.run(reader.until_readable(soon())));
        REQUIRE(loop.run(reader.until_readable(soon())));
        CHECK(*loop.run(receive_text(reader)) == "some");
    }
    // The end is something to say, too.
    pair.close(pair.client, CloseHow::orderly);
    REQUIRE(loop.run(pair.server->until_readable(soon())));
    CHECK(*loop.run(receive_text(*pair.server)) == "");
}

TEST_CASE("plain stream: who watches is told once that the peer ended, also behind bytes that nobody has read") {
    TestLoop loop;
    for (auto how : {CloseHow::orderly, CloseHow::abort}) {
        for (bool has_received : {false, true}) {
            Loopback pair(loop);
            if (has_received) {
                REQUIRE(loop.run(send_text(*pair.client, "first")));
                CHECK(*loop.run(receive_text(*pair.server)) == "first");
            }
            Ends ends;
            pair.server->watch_end(&ends);
            REQUIRE(loop.run(send_text(*pair.client, "next")));
            loop.run_for(2ms);
            CHECK(ends.forced + ends.ordered == 0);
            pair.close(pair.client, how);
            loop.run_until([&] { return ends.forced + ends.ordered > 0; }, 5s);
            CHECK((how == CloseHow::abort ? ends.forced : ends.ordered) == 1);
            pair.server->watch_end(nullptr);
            CHECK(*loop.run(receive_text(*pair.server)) == "next");
            pair.server->watch_end(&ends);  // late: told at once
            CHECK((how == CloseHow::abort ? ends.forced : ends.ordered) == 2);
            pair.server->watch_end(nullptr);
        }
    }
}

TEST_CASE("plain stream: who no longer watches is told nothing, and watching never keeps a connection from closing") {
    TestLoop loop;
    Loopback pair(loop);
    Ends ends;
    pair.server->watch_end(&ends);
    pair.server->watch_end(nullptr);
    pair.close(pair.client, CloseHow::orderly);
    loop.run_for(2ms);
    CHECK(ends.ordered == 0);
    pair.close(pair.server, CloseHow::orderly);
    pair.open_pair();
    pair.server->watch_end(&ends);
    pair.server->interrupt();
    loop.run_until([&] { return ends.forced > 0; }, 5s);
    pair.server->watch_end(nullptr);
}

TEST_CASE("plain stream: lingering lets the peer read an answer to what we did not read") {
    TestLoop loop;
    Loopback pair(loop);
    auto sending = send_text(*pair.client, patterned(48'000));
    loop.run_for(5ms);
    REQUIRE(loop.run(send_text(*pair.server, "413 too large")));
    auto closing = pair.server->close(CloseHow::linger);
    CHECK(loop.run(std::move(sending)));
    CHECK(*loop.run(read_all(*pair.client)) == "413 too large");
    pair.close(pair.client, CloseHow::orderly);
    loop.run(std::move(closing));
    pair.server.reset();
}

TEST_CASE("plain stream: lingering ends after a second, and after 64 KiB") {
    TestLoop loop;
    Loopback pair(loop);
    auto started = now();
    pair.close(pair.server, CloseHow::linger);
    CHECK(now() - started >= 900ms);
    CHECK(now() - started < 3s);
    pair.close(pair.client, CloseHow::orderly);

    pair.open_pair();
    auto sending = send_text(*pair.client, patterned(32 * MiB));
    started = now();
    pair.close(pair.server, CloseHow::linger);
    CHECK(now() - started < 900ms);
    CHECK(!loop.run(std::move(sending)));
}

TEST_CASE("plain stream: an idle accepted connection costs well below 1 KiB") {
    TestLoop loop;
    constexpr std::size_t count = 100;
    std::vector<std::unique_ptr<Loopback>> pairs;
    for (std::size_t i = 0; i < count; ++i) pairs.push_back(std::make_unique<Loopback>(loop));
    std::vector<Task<Result<Chunk>>> waiting;
    waiting.reserve(count);
    auto before = ::mallinfo2().uordblks;
    for (auto& one : pairs) waiting.push_back(one->server->receive(soon()));
    loop.run_for(5ms);
    auto waiting_bytes = (::mallinfo2().uordblks - before) / count;
    MESSAGE("an idle read waits in " << waiting_bytes << " bytes");
    CHECK(waiting_bytes < 600);
    for (auto& one : pairs) loop.run(one->client->close(CloseHow::orderly)), one->client.reset();
    for (auto& task : waiting) CHECK(loop.run(std::move(task)));
}

TEST_CASE("plain stream: discarded bytes are counted and gone, at both ends, and what follows them is whole") {
    TestLoop loop;
    Loopback pair(loop);
    auto drop = [&](Stream& stream, std::size_t count) {
        std::size_t dropped = 0;
        while (dropped < count) {
            auto got = loop.run(stream.discard(count - dropped, soon()));
            REQUIRE(got);
            REQUIRE(*got > 0);
            dropped += *got;
        }
        return dropped;
    };
    for (auto [from, to] : {std::pair(pair.server.get(), pair.client.get()), std::pair(pair.client.get(), pair.server.get())}) {
        auto body = patterned(300'000);
        auto sending = send_text(*from, body + "tail");
        CHECK(drop(*to, body.size()) == body.size());
        CHECK(loop.run(std::move(sending)));
        CHECK(*loop.run(receive_text(*to)) == "tail");
    }
    pair.close(pair.server, CloseHow::orderly);
    CHECK(*loop.run(pair.client->discard(100, soon())) == 0);
}

TEST_CASE("plain stream: a discard has a deadline and ends when it is interrupted") {
    TestLoop loop;
    Loopback pair(loop);
    auto late = loop.run(pair.client->discard(100, now() + 20ms));
    REQUIRE(!late);
    CHECK(late.error().code == Code::timeout);
    auto waiting = pair.client->discard(100, soon());
    pair.client->interrupt();
    auto interrupted = loop.run(std::move(waiting));
    REQUIRE(!interrupted);
    CHECK(interrupted.error().code == Code::reset);
}
