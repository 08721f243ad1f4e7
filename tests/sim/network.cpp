#include "network.h"

#include "world.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace entrepot::sim {
namespace {

constexpr std::size_t segment_bytes_max = 16 * KiB;
constexpr std::size_t tiny_segment_bytes_max = 64;
constexpr Duration backlog_retry = seconds(1);  // the client's SYN timer
constexpr Duration connect_give_up = seconds(127);

}  // namespace

Name Name::of(const sockaddr* address, socklen_t length) {
    Name name;
    name.length = std::min<socklen_t>(length, sizeof name.storage);
    std::memcpy(&name.storage, address, name.length);
    return name;
}

std::uint16_t Name::port() const {
    if (storage.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
    return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
}

void Name::set_port(std::uint16_t port) {
    if (storage.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
    else reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
}

Name Name::wildcard() const {
    Name any = *this;
    if (storage.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6&>(any.storage).sin6_addr = in6addr_any;
    else reinterpret_cast<sockaddr_in&>(any.storage).sin_addr.s_addr = INADDR_ANY;
    return any;
}

std::string Name::key() const {
    std::string key = std::to_string(storage.ss_family) + ":" + std::to_string(port()) + ":";
    if (storage.ss_family == AF_INET6) {
        const auto& address = reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
        return key.append(reinterpret_cast<const char*>(&address), sizeof address);
    }
    const auto& address = reinterpret_cast<const sockaddr_in&>(storage).sin_addr;
    return key.append(reinterpret_cast<const char*>(&address), sizeof address);
}

void Name::copy_to(sockaddr* address, socklen_t* room) const {
    std::memcpy(address, &storage, std::min(*room, length));
    *room = length;
}

Network::~Network() {
    for (auto& weak : sockets_) {
        if (auto socket = weak.lock()) socket->peer = nullptr;
    }
}

SocketRef Network::make(int family) {
    auto socket = std::make_shared<Socket>();
    socket->number = next_number_++;
    socket->family = family;
    sockets_.push_back(socket);
    return socket;
}

int Network::listen(const SocketRef& socket, const sockaddr* address, socklen_t length, int backlog) {
    if (socket->state != Socket::State::fresh) return -EINVAL;
    socket->local = Name::of(address, length);
    if (socket->local.port() == 0) socket->local.set_port(next_port_++);
    socket->backlog_max = static_cast<std::size_t>(std::max(1, backlog));
    socket->state = Socket::State::listening;
    listeners_[socket->local.key()].push_back(socket);
    return 0;
}

SocketRef Network::find_listener(const Name& name) {
    for (const auto& key : {name.key(), name.wildcard().key()}) {
        auto found = listeners_.find(key);
        if (found != listeners_.end() && !found->second.empty()) return world_.random.pick(found->second);
    }
    return nullptr;
}

void Network::connect(const SocketRef& socket, const sockaddr* address, socklen_t length) {
    socket->remote = Name::of(address, length);
    socket->local = socket->remote;
    socket->local.set_port(next_port_++);
    socket->state = Socket::State::connecting;
    auto fail = [this, socket](int error) {
        socket->state = Socket::State::fresh;
        socket->error = error;
        notify(socket);
    };
    if (world_.strikes(world_.faults.connect_black_hole, "connect into a black hole")) {
        world_.after(connect_give_up, [fail] { fail(ETIMEDOUT); });
    } else if (world_.strikes(world_.faults.connect_refused, "connect refused")) {
        world_.after(world_.network_delay(), [fail] { fail(ECONNREFUSED); });
    } else {
        world_.after(world_.network_delay(), [this, socket] { establish(socket); });
    }
}

void Network::draw_character(Socket& socket) {
    auto& random = world_.random;
    const auto& faults = world_.faults;
    socket.window =
        world_.strikes(faults.narrow_window, "narrow socket buffer") ? random.between(1, 8) * KiB : random.between(32, 512) * KiB;
    socket.tiny_segments = world_.strikes(faults.tiny_segments, "tiny segments");
    // Between 1 GB/s and 10 MB/s.
    socket.ns_per_byte = static_cast<std::int64_t>(1 + random.skewed(100));
    if (random.chance(faults.connection_doomed)) socket.doomed_after = random.skewed(MiB);
    if (random.chance(faults.connection_silent)) socket.silent_after = random.skewed(MiB);
}

void Network::establish(const SocketRef& client) {
    if (client->closed) return;
    auto listener = find_listener(client->remote);
    if (!listener) {
        client->state = Socket::State::fresh;
        client->error = ECONNREFUSED;
        return notify(client);
    }
    if (listener->backlog.size() >= listener->backlog_max)
        return world_.after(backlog_retry, [this, client] { establish(client); });

    auto server = make(client->family);
    server->state = Socket::State::connected;
    server->local = client->remote;
    server->remote = client->local;
    server->peer = client;
    client->peer = server;
    draw_character(*server);
    draw_character(*client);
    Instant known = world_.time() + world_.network_delay();
    server->last_arrival = known;
    listener->backlog.push_back(server);
    notify(listener);
    world_.at(known, [this, client] {
        client->state = Socket::State::connected;
        if (client->closed) reset_from(client);
        else notify(client);
    });
}

SocketRef Network::accept(Socket& listener) {
    if (listener.backlog.empty()) return nullptr;
    auto socket = listener.backlog.front();
    listener.backlog.pop_front();
    return socket;
}

std::int64_t Network::receive(Socket& socket, MutableBytes into, bool peek, bool may_be_short) {
    if (socket.state == Socket::State::fresh || socket.state == Socket::State::listening)
        return socket.error ? -std::exchange(socket.error, 0) : -ENOTCONN;
    if (into.empty()) return 0;
    if (socket.inbox.empty()) {
        if (socket.error) return -std::exchange(socket.error, 0);
        return socket.end_received || socket.read_shut || socket.broken ? 0 : -EAGAIN;
    }
    auto length = std::min(into.size(), socket.inbox.size());
    if (may_be_short && world_.strikes(world_.faults.short_socket_transfer, "short socket transfer"))
        length = 1 + world_.random.below(length);
    std::memcpy(into.data(), socket.inbox.front(length).data(), length);
    if (peek) return static_cast<std::int64_t>(length);
    socket.inbox.drop(length);
    if (auto peer = socket.peer) {
        peer->outstanding -= std::min(peer->outstanding, length);
        notify(peer);
    }
    return static_cast<std::int64_t>(length);
}

std::int64_t Network::send(const SocketRef& socket, Bytes from, bool may_be_short) {
    if (socket->error) return -std::exchange(socket->error, 0);
    if (socket->state == Socket::State::connecting) return -EAGAIN;
    if (socket->state != Socket::State::connected || socket->broken || socket->write_shut) return -EPIPE;
    if (from.empty()) return 0;
    auto room = socket->window - std::min(socket->window, socket->outstanding);
    if (room == 0) return -EAGAIN;
    auto length = std::min(from.size(), room);
    if (may_be_short && world_.strikes(world_.faults.short_socket_transfer, "short socket transfer"))
        length = 1 + world_.random.below(length);
    transmit(socket, from.first(length));
    return static_cast<std::int64_t>(length);
}

Instant Network::arrival(Socket& socket, std::size_t bytes) {
    Instant earliest = world_.time() + world_.network_delay();
    socket.last_arrival =
        std::max(earliest, socket.last_arrival) + Duration(socket.ns_per_byte * static_cast<std::int64_t>(bytes));
    return socket.last_arrival;
}

/// Runs `what` unless a reset made what is on the way void.
void Network::schedule(const SocketRef& from, Instant when, std::function<void()> what) {
    world_.at(when, [from, generation = from->generation, what = std::move(what)] {
        if (from->generation == generation && from->peer) what();
    });
}

void Network::transmit(const SocketRef& socket, Bytes bytes) {
    socket->outstanding += bytes.size();
    while (!bytes.empty()) {
        auto most = socket->tiny_segments ? tiny_segment_bytes_max : segment_bytes_max;
        auto piece = bytes.first(std::min<std::size_t>(bytes.size(), 1 + world_.random.below(most)));
        if (!socket->tiny_segments && world_.random.chance(0.7)) piece = bytes.first(std::min(bytes.size(), segment_bytes_max));
        bytes = bytes.subspan(piece.size());
        bool silent = socket->sent >= socket->silent_after;
        if (silent) world_.count_injected("segment lost for ever");
        socket->sent += piece.size();
        if (socket->sent > socket->doomed_after) {
            world_.count_injected("connection reset by the network");
            schedule(socket, arrival(*socket, 0), [this, socket] {
                reset_from(socket->peer);
                reset_from(socket);
            });
            return;
        }
        if (silent) continue;
        schedule(socket, arrival(*socket, piece.size()),
                 [this, socket, text = std::string(text_of(piece))] { arrive(socket, text); });
    }
}

void Network::arrive(const SocketRef& socket, std::string bytes) {
    auto peer = socket->peer;
    if (peer->closed) return reset_from(peer);
    peer->inbox.append(bytes);
    notify(peer);
}

void Network::send_end(const SocketRef& socket) {
    socket->write_shut = true;
    if (socket->sent >= socket->silent_after) return;
    schedule(socket, arrival(*socket, 0), [this, socket] {
        socket->peer->end_received = true;
        notify(socket->peer);
    });
}

/// `socket` sends a reset: what it had on the way may or may not arrive before.
void Network::reset_from(const SocketRef& socket) {
    if (!socket->peer || std::exchange(socket->broken, true)) return;
    if (world_.random.chance(0.5)) ++socket->generation;
    world_.at(arrival(*socket, 0), [this, socket] {  // not schedule(): nothing makes a reset void
        auto peer = socket->peer;
        if (!peer || (peer->broken && peer->error)) return;
        ++peer->generation;
        peer->broken = true;
        if (!peer->closed) peer->error = peer->end_received ? EPIPE : ECONNRESET;
        notify(peer);
    });
}

int Network::shutdown(const SocketRef& socket, int how) {
    if (socket->state != Socket::State::connected || socket->broken) return -ENOTCONN;
    if (how == SHUT_RD || how == SHUT_RDWR) socket->read_shut = true;
    if ((how == SHUT_WR || how == SHUT_RDWR) && !socket->write_shut) send_end(socket);
    notify(socket);
    return 0;
}

void Network::close(const SocketRef& socket) {
    ASSERT(!socket->closed);
    socket->closed = true;
    if (socket->state == Socket::State::listening) {
        std::erase(listeners_[socket->local.key()], socket);
        for (const auto& waiting : std::exchange(socket->backlog, {})) {
            waiting->closed = true;
            reset_from(waiting);
        }
    } else if (socket->state == Socket::State::connected && !socket->broken) {
        if (socket->resets_on_close || !socket->inbox.empty()) reset_from(socket);
        else if (!socket->write_shut) send_end(socket);
    }
    socket->inbox.clear();
}

void Network::notify(const SocketRef& socket) {
    auto waiting = socket->waiting;
    for (const auto& entry : waiting) entry.who->socket_changed(entry.request);
}

std::uint32_t Network::readiness(const Socket& socket) const {
    std::uint32_t ready = 0;
    bool ended = socket.end_received || socket.read_shut || socket.broken;
    if (!socket.inbox.empty() || ended || socket.error || !socket.backlog.empty()) ready |= POLLIN;
    bool connected = socket.state == Socket::State::connected;
    if (socket.error || (connected && (socket.broken || socket.write_shut || socket.outstanding <= socket.window / 3 * 2)))
        ready |= POLLOUT;
    if (socket.error) ready |= POLLERR;
    if (socket.end_received) ready |= POLLRDHUP;
    if (socket.broken || (socket.end_received && socket.write_shut)) ready |= POLLHUP;
    return ready;
}

}  // namespace entrepot::sim
