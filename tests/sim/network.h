#pragma once
// Simulated TCP: sockets, listeners and what travels between them in virtual time. A socket is what a descriptor refers to; it never waits, the ring does
// (Socket::waiters). Modelled on Linux: data that arrived is readable before the error or the end that followed it; a reset is reported once, then EPIPE or the end;
// closing with unread data, or with SO_LINGER 0, resets; data that reaches a closed socket is answered by a reset.

#include "entrepot/base/bytes.h"
#include "entrepot/base/clock.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::sim {

class World;
struct Socket;
using SocketRef = std::shared_ptr<Socket>;

/// Whoever waits for a socket to change.
class Waiter {
  public:
    virtual ~Waiter() = default;
    virtual void socket_changed(std::uint64_t request) = 0;
};

/// A socket address as a value that maps can compare.
struct Name {
    sockaddr_storage storage{};
    socklen_t length = 0;

    static Name of(const sockaddr* address, socklen_t length);
    std::uint16_t port() const;
    void set_port(std::uint16_t port);
    /// The same port on every address.
    Name wildcard() const;
    std::string key() const;
    void copy_to(sockaddr* address, socklen_t* length) const;
};

/// Bytes in order, taken from the front.
class ByteQueue {
  public:
    std::size_t size() const { return bytes_.size() - start_; }
    bool empty() const { return size() == 0; }
    void append(std::string_view bytes) { bytes_.append(bytes); }
    std::string_view front(std::size_t count) const { return std::string_view(bytes_).substr(start_, count); }
    void drop(std::size_t count) {
        start_ += count;
        if (start_ == bytes_.size()) clear();
    }
    void clear() {
        bytes_.clear();
        start_ = 0;
    }

  private:
    std::string bytes_;
    std::size_t start_ = 0;
};

struct Socket {
    enum class State { fresh, listening, connecting, connected };

    std::uint64_t number = 0;
    State state = State::fresh;
    int family = 0;
    Name local, remote;
    bool closed = false;  // by its own side

    // Receiving.
    ByteQueue inbox;
    bool end_received = false;
    bool read_shut = false;
    int error = 0;  // positive errno, reported once

    // Sending.
    SocketRef peer;
    bool write_shut = false;
    bool broken = false;           // reset by either side: nothing can be sent any more
    bool resets_on_close = false;  // SO_LINGER with 0 s
    std::size_t window = 0;        // bytes that may be on the way or unread at the peer
    std::size_t outstanding = 0;
    Instant last_arrival;
    std::uint64_t generation = 0;  // a reset makes what is on the way void
    bool tiny_segments = false;
    std::uint64_t sent = 0, doomed_after = UINT64_MAX, silent_after = UINT64_MAX;
    std::int64_t ns_per_byte = 0;

    // Listening.
    std::deque<SocketRef> backlog;
    std::size_t backlog_max = 0;

    struct Waiting {
        Waiter* who;
        std::uint64_t request;
    };
    std::vector<Waiting> waiting;
};

class Network {
  public:
    explicit Network(World& world) : world_(world) {}
    ~Network();

    SocketRef make(int family);
    int listen(const SocketRef& socket, const sockaddr* address, socklen_t length, int backlog);
    /// Starts a connection attempt; the outcome shows as state connected, or as an error.
    void connect(const SocketRef& socket, const sockaddr* address, socklen_t length);
    /// The next connection of a listener's queue, or null.
    SocketRef accept(Socket& listener);
    /// Bytes, 0 for the end, -EAGAIN, or -errno.
    std::int64_t receive(Socket& socket, MutableBytes into, bool peek, bool may_be_short);
    std::int64_t send(const SocketRef& socket, Bytes from, bool may_be_short);
    int shutdown(const SocketRef& socket, int how);
    void close(const SocketRef& socket);
    std::uint32_t readiness(const Socket& socket) const;

  private:
    void establish(const SocketRef& client);
    void draw_character(Socket& socket);
    void transmit(const SocketRef& socket, Bytes bytes);
    void arrive(const SocketRef& socket, std::string bytes);
    void send_end(const SocketRef& socket);
    void reset_from(const SocketRef& socket);
    void notify(const SocketRef& socket);
    Instant arrival(Socket& socket, std::size_t bytes);
    void schedule(const SocketRef& from, Instant when, std::function<void()> what);
    SocketRef find_listener(const Name& name);

    World& world_;
    std::uint64_t next_number_ = 1;
    std::uint16_t next_port_ = 40000;
    std::map<std::string, std::vector<SocketRef>> listeners_;
    std::vector<std::weak_ptr<Socket>> sockets_;
};

}  // namespace entrepot::sim
