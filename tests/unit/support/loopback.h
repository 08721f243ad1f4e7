#pragma once
// Two ends of a TCP connection over loopback on one TestLoop: `server` was accepted, `client` connected.

#include "entrepot/net/connect.h"
#include "entrepot/net/listener.h"
#include "entrepot/net/plain_stream.h"

#include "support/run_task.h"

namespace entrepot {

inline Instant soon(Duration length = seconds(10)) { return now() + length; }

class Loopback {
  public:
    explicit Loopback(TestLoop& loop) : loop_(loop) {
        auto opened = Listener::open(*Address::parse("127.0.0.1", 0));
        if (!opened) FAIL(opened.error());
        listener = std::move(*opened);
        open_pair();
    }
    ~Loopback() {
        listener->stop();
        loop_.run(listener->close());
        for (auto* stream : {&client, &server}) {
            if (*stream) loop_.run((*stream)->close(CloseHow::orderly));
        }
    }

    void open_pair() {
        auto connecting = connect_to({listener->address()}, true, soon());
        int socket = loop_.run(listener->accept());
        auto connected = loop_.run(std::move(connecting));
        REQUIRE(connected);
        client = std::move(*connected);
        server = make_client_stream(socket, client->peer());
    }

    /// Closes one end and forgets it.
    void close(std::unique_ptr<Stream>& end, CloseHow how) {
        loop_.run(end->close(how));
        end.reset();
    }

    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> client, server;

  private:
    TestLoop& loop_;
};

/// Reads until the ordered end (or `length_max` bytes), or the error that came first.
inline Task<Result<std::string>> read_all(Stream& stream, std::size_t length_max = SIZE_MAX) {
    std::string text;
    while (text.size() < length_max) {
        auto deadline = soon();
        auto chunk = co_await stream.receive(deadline);
        if (!chunk) co_return chunk.error();
        if (chunk->empty()) break;
        text += text_of(chunk->bytes());
    }
    co_return text;
}

inline Task<Result<void>> send_text(Stream& stream, std::string text) {
    auto deadline = soon();
    auto body = bytes_of(text);
    co_return co_await stream.send(body, {}, false, deadline);
}

/// Bytes that are cheap to make and unlikely to match when shifted.
inline std::string patterned(std::size_t length, unsigned seed = 1) {
    std::string text(length, '\0');
    std::uint64_t state = seed;
    for (auto& c : text) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        c = static_cast<char>(state >> 56);
    }
    return text;
}

}  // namespace entrepot
