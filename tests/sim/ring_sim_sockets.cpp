// The half of the simulated ring that concerns sockets.

#include "ring_sim.h"

#include <fmt/format.h>
#include <linux/io_uring.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace entrepot::sim {

using Kind = Request::Kind;

constexpr std::uint32_t discard_bytes_max = 64 * 1024;  // of one receive that drops

SocketRef SimRing::socket_of(int fd) {
    auto socket = world_.descriptor(fd).socket;
    if (!socket) violation(fmt::format("descriptor {} is no socket", fd));
    return socket;
}

void SimRing::try_socket(std::uint64_t number) {
    auto found = pending_.find(number);
    if (found == pending_.end()) return;
    auto& pending = found->second;
    auto socket = socket_of(pending.request.fd);
    switch (pending.request.kind) {
        case Kind::accept: return try_accept(number, pending, *socket);
        case Kind::receive_many: return try_receive_many(number, pending, *socket);
        case Kind::send: return try_send(number, pending, socket);
        case Kind::connect: return try_connect(number, pending, socket);
        case Kind::receive: {
            std::vector<std::byte> dropped(pending.request.flags & MSG_TRUNC ? std::min(pending.request.length, discard_bytes_max)
                                                                             : 0);
            MutableBytes into(static_cast<std::byte*>(pending.request.address), pending.request.length);
            if (pending.request.flags & MSG_TRUNC) into = dropped;
            auto result = world_.network.receive(*socket, into, false, true);
            if (result != -EAGAIN) finish(number, static_cast<std::int32_t>(result));
            return;
        }
        default: {
            auto ready = world_.network.readiness(*socket) & (pending.request.flags | POLLERR | POLLHUP);
            if (ready) finish(number, static_cast<std::int32_t>(ready));
        }
    }
}

void SimRing::try_accept(std::uint64_t number, Pending& pending, Socket& listener) {
    while (!listener.backlog.empty()) {
        if (world_.strikes(world_.faults.accept_error, "error of an accept")) {
            constexpr int errors[] = {EMFILE, ENFILE, ECONNABORTED};
            return finish(number, -world_.random.pick(errors));
        }
        Descriptor accepted;
        accepted.socket = world_.network.accept(listener);
        accepted.process = process_;
        auto fd = world_.add(std::move(accepted));
        if (world_.strikes(world_.faults.multishot_end, "multishot request ended")) return finish(number, fd);
        report(pending, fd, 0);
    }
}

void SimRing::try_receive_many(std::uint64_t number, Pending& pending, Socket& socket) {
    while (true) {
        if (socket.inbox.empty()) {
            std::byte none{};
            auto result = world_.network.receive(socket, {&none, 1}, false, false);
            if (result != -EAGAIN) finish(number, static_cast<std::int32_t>(result));
            return;
        }
        if (free_buffers_.empty() || world_.strikes(world_.faults.no_buffers, "ENOBUFS without need"))
            return finish(number, -ENOBUFS);
        // The kernel hands buffers out in the order in which they were given back.
        auto id = free_buffers_.front();
        free_buffers_.pop_front();
        buffer_out_[id] = true;
        ++out_count_;
        MutableBytes into(buffers_.data() + std::size_t{id} * options_.provided_buffer_bytes, options_.provided_buffer_bytes);
        auto length = world_.network.receive(socket, into, false, true);
        ASSERT(length > 0);
        std::uint32_t flags = IORING_CQE_F_BUFFER | (std::uint32_t{id} << IORING_CQE_BUFFER_SHIFT);
        if (world_.strikes(world_.faults.multishot_end, "multishot request ended"))
            return finish(number, static_cast<std::int32_t>(length), flags);
        report(pending, static_cast<std::int32_t>(length), flags);
    }
}

void SimRing::try_send(std::uint64_t number, Pending& pending, const SocketRef& socket) {
    const auto& request = pending.request;
    while (true) {
        Bytes left(static_cast<const std::byte*>(request.address) + pending.progress, request.length - pending.progress);
        auto result = world_.network.send(socket, left, true);
        if (result == -EAGAIN) return;
        if (result < 0)
            return finish(number,
                          pending.progress > 0 ? static_cast<std::int32_t>(pending.progress) : static_cast<std::int32_t>(result));
        pending.progress += static_cast<std::size_t>(result);
        if (pending.progress == request.length || !(request.flags & MSG_WAITALL))
            return finish(number, static_cast<std::int32_t>(pending.progress));
    }
}

void SimRing::try_connect(std::uint64_t number, Pending&, const SocketRef& socket) {
    if (socket->error) return finish(number, -std::exchange(socket->error, 0));
    if (socket->state == Socket::State::connected) finish(number, 0);
}

int SimRing::socket(int family, int) {
    Descriptor made;
    made.socket = world_.network.make(family);
    made.process = process_;
    return world_.add(std::move(made));
}

int SimRing::bind_and_listen(int fd, const sockaddr* address, socklen_t length, int backlog) {
    return world_.network.listen(socket_of(fd), address, length, backlog);
}

/// Where a connection comes from makes no difference here.
int SimRing::bind(int fd, const sockaddr*, socklen_t) {
    socket_of(fd);
    return 0;
}

int SimRing::set_option(int fd, int level, int name, const void* value, socklen_t length) {
    auto socket = socket_of(fd);
    if (level == SOL_SOCKET && name == SO_LINGER) {
        if (length < sizeof(linger)) return -EINVAL;
        const auto* setting = static_cast<const linger*>(value);
        socket->resets_on_close = setting->l_onoff && setting->l_linger == 0;
    }
    return 0;
}

/// What is asked for in the server is asked of Unix sockets, and there are none here.
int SimRing::get_option(int fd, int, int, void*, socklen_t*) {
    socket_of(fd);
    return -ENOPROTOOPT;
}

int SimRing::local_address(int fd, sockaddr* address, socklen_t* length) {
    socket_of(fd)->local.copy_to(address, length);
    return 0;
}

int SimRing::peer_address(int fd, sockaddr* address, socklen_t* length) {
    auto socket = socket_of(fd);
    if (socket->state != Socket::State::connected || socket->broken) return -ENOTCONN;
    socket->remote.copy_to(address, length);
    return 0;
}

std::int64_t SimRing::send_now(int fd, Bytes head, Bytes body, int) {
    auto socket = socket_of(fd);
    auto sent = world_.network.send(socket, head.empty() ? body : head, true);
    world_.note("sends now", static_cast<std::uint64_t>(fd), static_cast<std::uint64_t>(sent));
    if (head.empty() || sent != static_cast<std::int64_t>(head.size()) || body.empty()) return sent;
    auto more = world_.network.send(socket, body, true);
    return more > 0 ? sent + more : sent;
}

std::int64_t SimRing::receive_now(int fd, MutableBytes into, int flags) {
    return world_.network.receive(*socket_of(fd), into, flags & MSG_PEEK, true);
}

int SimRing::shutdown(int fd, int how) { return world_.network.shutdown(socket_of(fd), how); }

}  // namespace entrepot::sim
