#pragma once
// An upstream that does what a test says: one thread that accepts and one for each connection, real sockets on loopback,
// scripted bytes.

#include "entrepot/base/clock.h"

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace entrepot {

/// One request as it came in.
struct ServedRequest {
    std::string head;    ///< with its empty line
    std::string body;    ///< as long as its Content-Length says
    int connection = 0;  ///< the first one is 0
    int number = 0;      ///< of this request among all, from 0
    Instant at{};

    std::string method() const { return head.substr(0, head.find(' ')); }
    std::string target() const;
    std::optional<std::string> header(std::string_view name) const;
    /// One of a form's values, decoded.
    std::optional<std::string> form(std::string_view name) const;
};

/// What the server does about it.
struct Served {
    std::string bytes;                                               ///< sent as they are
    enum class Then { keep, close, reset, hang } then = Then::keep;  ///< hang: nothing more until the peer or the test ends
    Duration first{0};                                               ///< waits before the first byte
    Duration drip{0};                                                ///< between single bytes
    std::string more;                                                ///< after `bytes` and a pause of `first`

    /// "200 OK" and so on, with Content-Length unless `fields` frames the body itself.
    static Served status(int status, std::string_view fields = {}, std::string_view body = {});
    static Served ok(std::string_view body, std::string_view fields = {}) { return status(200, fields, body); }
    static Served unauthorized(std::string_view challenge);
    static Served redirect(int status, const std::string& location) {
        return Served::status(status, "Location: " + location + "\r\n");
    }
};

class ScriptedServer {
  public:
    using Script = std::function<Served(const ServedRequest&)>;  ///< called by any connection's thread, one at a time

    explicit ScriptedServer(Script script);
    /// Answers everything with a small 200 and is only there to be looked at.
    ScriptedServer() : ScriptedServer([](const ServedRequest&) { return Served::ok("trap"); }) {}
    ~ScriptedServer();
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    std::uint16_t port() const { return port_; }
    std::string url(std::string_view path = {}) const;
    void script(Script script);

    std::vector<ServedRequest> requests() const;
    std::size_t count() const { return requests().size(); }
    /// Requests that carried a login, as "target: value".
    std::vector<std::string> logins() const;
    int accepts() const { return accepts_.load(); }
    int open() const { return open_.load(); }

  private:
    void accept_loop();
    void serve(int socket, int connection);
    bool deliver(int socket, const Served& served);
    bool wait(Duration length);

    Script script_;
    std::uint16_t port_ = 0;
    int listener_ = -1, stop_read_ = -1, stop_write_ = -1;
    mutable std::mutex lock_;
    std::vector<ServedRequest> requests_;
    std::list<std::thread> threads_;
    std::atomic<int> accepts_{0}, open_{0};
    std::thread acceptor_;
};

/// A port of loopback that answers no SYN: its queue is full.
class SwallowingPort {
  public:
    SwallowingPort();
    ~SwallowingPort();
    SwallowingPort(const SwallowingPort&) = delete;
    SwallowingPort& operator=(const SwallowingPort&) = delete;
    std::uint16_t port() const { return port_; }

  private:
    std::uint16_t port_ = 0;
    std::vector<int> sockets_;
};

/// A port of loopback where nobody listens.
std::uint16_t closed_port();

}  // namespace entrepot
