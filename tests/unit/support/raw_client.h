#pragma once
// A server's listener with connections on the test's loop, and a client that writes bytes and reads answers.

#include "entrepot/server/connection.h"

#include "support/loopback.h"

#include <charconv>
#include <csignal>
#include <vector>

namespace entrepot {

struct Answer {
    int status = 0;
    std::string head, body;
    std::string field(std::string_view name) const {
        auto at = head.find("\r\n" + std::string(name) + ": ");
        if (at == std::string::npos) return {};
        at += name.size() + 4;
        return head.substr(at, head.find("\r\n", at) - at);
    }
};

/// Connections of one handler; clients connect through the kernel.
class ServedPort {
  public:
    ServedPort(TestLoop& loop, RequestHandler& handler, const Connections::Options& options = {})
        : loop_(loop), connections(handler, nullptr, options) {
        ::signal(SIGPIPE, SIG_IGN);  // as the server does: sendfile knows no MSG_NOSIGNAL
        auto opened = Listener::open(*Address::parse("127.0.0.1", 0));
        if (!opened) FAIL(opened.error());
        listener_ = std::move(*opened);
    }
    ~ServedPort() {
        connections.interrupt();
        loop_.run(connections.close());
        listener_->stop();
        loop_.run(listener_->close());
    }

    std::unique_ptr<Stream> connect() {
        auto connecting = connect_to({listener_->address()}, true, soon());
        int accepted = loop_.run(listener_->accept());
        auto connected = loop_.run(std::move(connecting));
        REQUIRE(connected);
        serve(accepted);
        return std::move(*connected);
    }

    /// A socket to be read and written without a turn of the loop, and to be closed by the caller.
    int connect_apart() {
        int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        auto& address = listener_->address();
        REQUIRE(::connect(socket, address.data(), address.length()) == 0);
        serve(loop_.run(listener_->accept()));
        return socket;
    }

  private:
    void serve(int accepted) {
        REQUIRE(loop_.run(connections.slot(soon())));
        connections.count_in();
        connections.start(accepted);
    }

    TestLoop& loop_;
    std::unique_ptr<Listener> listener_;

  public:
    Connections connections;
};

/// One client connection, read answer by answer.
class RawClient {
  public:
    RawClient(TestLoop& loop, ServedPort& port) : loop_(loop), stream_(port.connect()) {}
    ~RawClient() {
        if (!left_) leave(CloseHow::orderly);
        loop_.finish(leaving_);
    }

    /// Ends the connection; only a lingering one, whose FIN leaves at once, takes longer than this call.
    void leave(CloseHow how) {
        left_ = true;
        leaving_.start(stream_->close(how));
    }

    void write(std::string text) {
        auto sent = loop_.run(send_text(*stream_, std::move(text)));
        REQUIRE(sent);
    }
    /// The next answer; its body may be short when the connection ends (see `failed`).
    Answer read(bool head_only = false) {
        Answer answer;
        while (received_.find("\r\n\r\n") == std::string::npos && fill()) {}
        auto end = received_.find("\r\n\r\n");
        if (end == std::string::npos) return answer;
        answer.head = received_.substr(0, end + 4);
        received_.erase(0, end + 4);
        std::from_chars(answer.head.data() + 9, answer.head.data() + 12, answer.status);
        if (head_only || answer.status == 304) return answer;
        std::size_t length = SIZE_MAX;  // none: to the end
        auto told = answer.field("Content-Length");
        if (!told.empty()) std::from_chars(told.data(), told.data() + told.size(), length);
        while (received_.size() < length && fill()) {}
        answer.body = received_.substr(0, length);
        received_.erase(0, answer.body.size());
        return answer;
    }
    Answer ask(const std::string& request_line, std::string fields = "") {
        write(request_line + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
        return read(request_line.starts_with("HEAD"));
    }
    /// Some bytes of a body that goes on.
    void read_some(std::size_t count) {
        while (received_.size() < count && fill()) {}
        REQUIRE(received_.size() >= count);
        received_.erase(0, count);
    }
    /// The server ended the connection and nothing more came before that.
    bool at_end() { return received_.empty() && !fill() && !failed; }

    bool failed = false;  ///< the connection ended by force

  private:
    bool fill() {
        auto buffer = std::vector<std::byte>(256 * 1024);
        auto got = loop_.run(receive(buffer));
        if (!got) failed = true;
        if (!got || *got == 0) return false;
        received_ += text_of(Bytes(buffer).first(*got));
        return true;
    }
    Task<Result<std::size_t>> receive(std::vector<std::byte>& into) {
        auto deadline = soon();
        co_return co_await stream_->receive_into(into, deadline);
    }

    TestLoop& loop_;
    std::unique_ptr<Stream> stream_;
    std::string received_;
    TaskGroup leaving_;
    bool left_ = false;
};

}  // namespace entrepot
