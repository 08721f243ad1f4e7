#include "entrepot/net/listener.h"

#include "entrepot/base/log.h"
#include "entrepot/io/await.h"

#include "net/unix_socket.h"

#include <fmt/format.h>
#include <netinet/tcp.h>

#include <cstring>
#include <deque>

namespace entrepot {
namespace {

constexpr int backlog = 65'535;          // the kernel cuts it to net.core.somaxconn
constexpr std::size_t queued_max = 256;  // accepted and not yet taken; more wait in the kernel's backlog
constexpr Duration exhausted_pause = milliseconds(100);
constexpr Duration complaint_interval = seconds(60);

class SocketListener final : public Listener, private Operation {
  public:
    SocketListener(int socket, const Address& address) noexcept
        : Operation(&SocketListener::on_completed), ring_(Loop::current().ring()), socket_(socket), address_(address) {}
    explicit SocketListener(UnixSocket socket) noexcept : SocketListener(socket.descriptor, Address()) {
        unix_socket_ = std::move(socket);
    }
    ~SocketListener() override {
        ASSERT(!in_flight() && accepted_.empty());
        close_socket();
    }

    Task<int> accept() override;
    void stop() noexcept override;
    Task<void> close() override;
    const Address& address() const noexcept override { return address_; }
    std::string text() const override { return unix_socket_ ? "unix:" + unix_socket_->path : address_.text(); }

  private:
    static void on_completed(Operation& operation, std::int32_t result, std::uint32_t, bool more) noexcept {
        static_cast<SocketListener&>(operation).completed(result, more);
    }
    void completed(std::int32_t result, bool more) noexcept;
    void arm() noexcept;
    void complain(int error) noexcept;
    void close_socket() noexcept;

    Ring& ring_;
    int socket_;
    Address address_;
    std::optional<UnixSocket> unix_socket_;
    std::deque<int> accepted_;
    bool pausing_ = false, stopped_ = false;
    int failure_ = 0;  // why the last multishot ended, when accepting more would fail again at once
    Instant quiet_until_;
    Condition changed_;
};

Task<int> SocketListener::accept() {
    while (!stopped_ && accepted_.empty()) {
        if (failure_ < 0) {
            complain(-std::exchange(failure_, 0));
            co_await changed_.wait(Loop::current().time() + exhausted_pause);  // stop() ends the pause
            continue;
        }
        if (!in_flight()) arm();
        co_await changed_.wait();
    }
    if (stopped_) co_return -ECANCELED;
    int socket = accepted_.front();
    accepted_.pop_front();
    co_return socket;
}

void SocketListener::arm() noexcept {
    Request request;
    request.kind = Request::Kind::accept;
    request.fd = socket_;
    ring_.submit(*this, request);
}

void SocketListener::completed(std::int32_t result, bool more) noexcept {
    if (result >= 0) accepted_.push_back(result);
    // A connection that died in the backlog (ECONNABORTED) says nothing about the next one. Anything else would come back at once: EMFILE, ENFILE,
    // ENOBUFS, ENOMEM.
    else if (result != -ECANCELED && result != -ECONNABORTED && result != -EINTR) failure_ = result;
    if (!more) pausing_ = false;
    if (more && accepted_.size() >= queued_max && !pausing_) {
        pausing_ = true;
        ring_.cancel(*this);
    }
    changed_.notify_all();
}

void SocketListener::complain(int error) noexcept {
    auto time = Loop::current().time();
    if (time < quiet_until_) return;
    quiet_until_ = time + complaint_interval;
    log_warning("cannot accept connections on {}: {} (raise LimitNOFILE if descriptors ran out); trying again every 100 ms",
                text(), std::strerror(error));
}

void SocketListener::stop() noexcept {
    if (std::exchange(stopped_, true)) return;
    if (in_flight() && !pausing_) ring_.cancel(*this);
    changed_.notify_all();
}

Task<void> SocketListener::close() {
    ASSERT(stopped_ && socket_ >= 0);
    while (in_flight()) co_await changed_.wait();
    for (int socket : accepted_) ring_.close(socket);
    accepted_.clear();
    close_socket();
}

void SocketListener::close_socket() noexcept {
    if (socket_ < 0) return;
    if (unix_socket_) remove_unix_socket(*unix_socket_);  // first, so that nobody finds a name behind which nobody is
    ring_.close(std::exchange(socket_, -1));
}

std::string explain(const Address& address, int error) {
    std::string_view hint;
    if (error == EADDRINUSE) hint = " (is another server running?)";
    if (error == EACCES) hint = " (ports below 1024 need CAP_NET_BIND_SERVICE)";
    if (error == EADDRNOTAVAIL) hint = " (no interface of this machine has it)";
    std::string reason = error == EADDRINUSE ? "address already in use" : std::strerror(error);
    return fmt::format("cannot listen on {}: {}{}", address.text(), reason, hint);
}

bool is_any_v6(const Address& address) {
    return address.family() == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr);
}

/// A bound and listening socket, or -errno.
int open_socket(Ring& ring, const Address& address, Accepting accepting) {
    int socket = ring.socket(address.family(), SOCK_STREAM);
    if (socket < 0) return socket;
    int v6_only = is_any_v6(address) ? 0 : 1;  // [::] means both families, whatever net.ipv6.bindv6only says
    if (address.family() == AF_INET6) ring.set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
    // Accepted sockets inherit it, which saves each connection a system call.
    int no_delay = 1;
    ring.set_option(socket, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
    int silent_seconds = 1;
    if (accepting == Accepting::with_first_bytes)
        ring.set_option(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent_seconds, sizeof silent_seconds);
    int error = ring.bind_and_listen(socket, address.data(), address.length(), backlog);
    if (error == 0) return socket;
    ring.close(socket);
    return error;
}

}  // namespace

Result<std::unique_ptr<Listener>, std::string> Listener::open(const Address& address, Accepting accepting) {
    auto& ring = Loop::current().ring();
    int socket = open_socket(ring, address, accepting);
    // A machine without IPv6 still has "every address".
    if (socket == -EAFNOSUPPORT && is_any_v6(address))
        socket = open_socket(ring, *Address::parse("0.0.0.0", address.port()), accepting);
    if (socket < 0) return explain(address, -socket);

    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    int error = ring.local_address(socket, reinterpret_cast<sockaddr*>(&bound), &length);
    auto actual = Address::from(reinterpret_cast<sockaddr*>(&bound), length);
    if (error < 0 || !actual) {
        ring.close(socket);
        return explain(address, error < 0 ? -error : EAFNOSUPPORT);
    }
    return std::unique_ptr<Listener>(std::make_unique<SocketListener>(socket, *actual));
}

Result<std::unique_ptr<Listener>, std::string> Listener::open_unix(const std::string& path, std::optional<gid_t> group) {
    auto socket = open_unix_socket(path, group, backlog);
    if (!socket) return socket.error();
    return std::unique_ptr<Listener>(std::make_unique<SocketListener>(*std::move(socket)));
}

}  // namespace entrepot
