#include "cli/admin_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace entrepot::cli {
namespace {

/// A connection takes no time where servers of this kind are; a host that swallows packets must not use up the whole deadline.
constexpr Duration connect_time_max = seconds(5);

struct FreeAddresses {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

std::string host_field(const sockaddr* address, socklen_t bytes, std::uint16_t port) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(address, bytes, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) return "localhost";
    return AdminAddress{.host = text.data(), .port = port}.text();
}

bool is_loopback(const sockaddr* address) {
    if (address->sa_family == AF_INET)
        return (ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

}  // namespace

AdminConnection::AdminConnection(AdminConnection&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), deadline_(other.deadline_), host_(std::move(other.host_)),
      local_(other.local_) {}

AdminConnection::~AdminConnection() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Result<AdminConnection, int> AdminConnection::connect(const AdminAddress& address, Instant deadline) {
    Instant latest = std::min(deadline, now() + connect_time_max);
    auto connection = address.is_unix() ? connect_unix(address, latest) : connect_tcp(address, latest);
    if (connection) connection->deadline_ = deadline;
    return connection;
}

Result<AdminConnection, int> AdminConnection::connect_unix(const AdminAddress& address, Instant deadline) {
    AdminConnection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), deadline);
    if (connection.descriptor_ < 0) return errno;
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    ASSERT(address.unix_path.size() < sizeof path.sun_path);
    std::memcpy(path.sun_path, address.unix_path.data(), address.unix_path.size());
    auto reached = connection.reach(&path, sizeof path);
    if (!reached) return reached.error();
    connection.host_ = "localhost";
    return connection;
}

Result<AdminConnection, int> AdminConnection::connect_tcp(const AdminAddress& address, Instant deadline) {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    addrinfo* list = nullptr;
    // AI_ADDRCONFIG hides even literals of a family that no interface but loopback has.
    if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &list) != 0) {
        wanted.ai_flags = AI_NUMERICSERV;
        if (::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &list) != 0) return EHOSTUNREACH;
    }
    std::unique_ptr<addrinfo, FreeAddresses> owner(list);
    int problem = EHOSTUNREACH;
    for (const addrinfo* one = list; one; one = one->ai_next) {
        AdminConnection connection(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), deadline);
        if (connection.descriptor_ < 0) return errno;
        auto reached = connection.reach(one->ai_addr, one->ai_addrlen);
        if (!reached) {
            problem = reached.error();
            continue;
        }
        connection.host_ = host_field(one->ai_addr, one->ai_addrlen, address.port);
        connection.local_ = is_loopback(one->ai_addr);
        return connection;
    }
    return problem;
}

Result<void, int> AdminConnection::reach(const void* address, unsigned bytes) {
    if (::connect(descriptor_, static_cast<const sockaddr*>(address), bytes) == 0) return {};
    // EAGAIN is a Unix listener whose queue is full: as good as one that is not there.
    if (errno != EINPROGRESS) return errno == EAGAIN ? ECONNREFUSED : errno;
    auto writable = wait_for(POLLOUT);
    if (!writable) return writable;
    int problem = 0;
    socklen_t size = sizeof problem;
    ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) return problem;
    return {};
}

Result<void, int> AdminConnection::wait_for(short events) {
    for (;;) {
        Duration left = deadline_ - now();
        if (left <= Duration(0)) return ETIMEDOUT;
        auto ms = std::chrono::duration_cast<milliseconds>(left).count() + 1;
        pollfd one{descriptor_, events, 0};
        int ready = ::poll(&one, 1, static_cast<int>(std::min<std::int64_t>(ms, 60'000)));
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return errno;
    }
}

Result<void, int> AdminConnection::send(std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            auto ready = wait_for(POLLOUT);
            if (!ready) return ready;
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return {};
}

Result<std::size_t, int> AdminConnection::receive(MutableBytes into) {
    for (;;) {
        ssize_t got = ::recv(descriptor_, into.data(), into.size(), 0);
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno == EAGAIN) {
            auto ready = wait_for(POLLIN);
            if (!ready) return ready.error();
        } else if (errno != EINTR) {
            return errno;
        }
    }
}

}  // namespace entrepot::cli
