#pragma once
// One connection and what it is waiting for, and the epoll set that wakes it.

#include "herd/answer.h"
#include "herd/target.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace entrepot::bench {

constexpr int events_max = 512;

struct Client {
    int fd = -1;
    const Target* target = nullptr;
    bool sent = false;
    bool verify = false;
    std::uint64_t request_at = 0;
    std::uint64_t done_at = 0;
    Answer answer;
};

// Each client address has 28,000 ports, and a closed connection keeps its port for a while. A loop that connects for every
// request therefore spreads over 16 loopback addresses, else it would measure how ports run out.
inline in_addr source_address(std::uint64_t turn) {
    in_addr address{};
    address.s_addr = htonl((127U << 24) | (1U << 8) | static_cast<std::uint32_t>(1 + turn % 16));
    return address;
}

inline int connect_to(const Target& target, bool spread_sources, std::uint64_t turn) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) stop_with(1, "socket: %s", std::strerror(errno));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (spread_sources) {
        sockaddr_in source{};
        source.sin_family = AF_INET;
        source.sin_addr = source_address(turn);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0)
            stop_with(1, "bind: %s", std::strerror(errno));
    }
    if (connect(fd, reinterpret_cast<const sockaddr*>(&target.address), sizeof target.address) != 0 && errno != EINPROGRESS)
        stop_with(1, "connect: %s", std::strerror(errno));
    return fd;
}

// A request head is far smaller than an empty socket's send buffer: it leaves whole or not at all.
inline bool send_request(Client& client) {
    const auto& request = client.target->request;
    const auto sent = send(client.fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(request.size())) return client.sent = true;
    if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return false;
    client.answer.fail(sent < 0 && errno == ECONNREFUSED ? "refused" : "send failed");
    return false;
}

class Poll {
  public:
    Poll() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
        if (fd_ < 0) stop_with(1, "epoll_create1: %s", std::strerror(errno));
    }
    Poll(const Poll&) = delete;
    Poll& operator=(const Poll&) = delete;
    ~Poll() { close(fd_); }

    void watch(int operation, Client& client, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.ptr = &client;
        if (epoll_ctl(fd_, operation, client.fd, &event) != 0) stop_with(1, "epoll_ctl: %s", std::strerror(errno));
    }
    template <typename Handle>
    void wait(int timeout_ms, Handle&& handle) {
        const int count = epoll_wait(fd_, events_.data(), events_max, timeout_ms);
        for (int index = 0; index < count; ++index) {
            const auto& event = events_[static_cast<std::size_t>(index)];
            handle(*static_cast<Client*>(event.data.ptr), event.events);
        }
    }

  private:
    int fd_;
    std::vector<epoll_event> events_ = std::vector<epoll_event>(events_max);
};

}  // namespace entrepot::bench
