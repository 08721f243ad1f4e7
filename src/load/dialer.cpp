#include "load/dialer.h"

#include "entrepot/io/await.h"
#include "entrepot/net/plain_stream.h"

#include <algorithm>

namespace entrepot::load {
namespace {

// Each source address has 28,000 ports, and a closed connection keeps its port for a minute. A load that connects for every
// request spreads over 127.1.0.1 to 127.1.0.16, else it would measure how ports run out.
constexpr std::size_t loopback_sources = 16;

Address loopback_source(std::size_t turn) {
    sockaddr_in source{};
    source.sin_family = AF_INET;
    source.sin_addr.s_addr = htonl((127U << 24) | (1U << 16) | static_cast<std::uint32_t>(1 + turn % loopback_sources));
    return *Address::from(reinterpret_cast<const sockaddr*>(&source), sizeof source);
}

Trouble trouble_of(int result) noexcept {
    switch (-result) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case EADDRNOTAVAIL:
        case EADDRINUSE: return Trouble::descriptors;
        case ETIMEDOUT: return Trouble::timeout;
        default: return Trouble::refused;
    }
}

}  // namespace

int Dialer::open_socket(const Address& to) noexcept {
    auto& ring = Loop::current().ring();
    int socket = ring.socket(to.family(), SOCK_STREAM);
    if (socket < 0) return socket;
    if (options_.receive_buffer > 0)
        ring.set_option(socket, SOL_SOCKET, SO_RCVBUF, &options_.receive_buffer, sizeof options_.receive_buffer);
    bool spread = options_.sources.empty() && to.family() == AF_INET && to.is_loopback();
    int bound = 0;
    if (spread) {
        auto source = loopback_source(turn_++);
        bound = ring.bind(socket, source.data(), source.length());
    } else if (!options_.sources.empty()) {
        const auto& source = options_.sources[turn_++ % options_.sources.size()];
        bound = ring.bind(socket, source.data(), source.length());
    }
    if (bound >= 0) return socket;
    ring.close(socket);
    return bound;
}

Task<Result<std::unique_ptr<Stream>, Trouble>> Dialer::connect(Address address, Instant deadline) {
    int socket = open_socket(address);
    if (socket < 0) co_return trouble_of(socket);
    connecting_.push_back(socket);
    int result = co_await connect_socket(socket, address.data(), address.length(), deadline);
    std::erase(connecting_, socket);
    if (result == 0) co_return make_upstream_stream(socket, address);
    Loop::current().ring().close(socket);
    co_return trouble_of(result);
}

Task<Result<std::unique_ptr<Stream>, Trouble>> Dialer::dial(const Origin& origin, Instant deadline) {
    const auto* addresses = options_.reach->addresses_of(origin);
    if (!addresses || interrupted_) co_return Trouble::refused;
    Trouble trouble = Trouble::refused;
    for (std::size_t attempt = 0; attempt < addresses->size() && !interrupted_; ++attempt) {
        auto index = (preferred_ + attempt) % addresses->size();
        auto address = (*addresses)[index].with_port(origin.port);
        auto connected = co_await connect(address, deadline);
        if (!connected) {
            trouble = connected.error();
            continue;
        }
        preferred_ = index;
        if (!origin.is_tls()) co_return connected;
        if (!options_.tls) break;
        std::string why;
        auto* plain = connected->get();
        handshaking_.push_back(plain);
        auto secured = co_await connect_tls(std::move(*connected), *options_.tls, origin.host, deadline, why);
        std::erase(handshaking_, plain);
        if (secured) co_return std::move(*secured);
        co_return secured.error().code == Code::timeout ? Trouble::timeout : Trouble::tls;
    }
    co_return trouble;
}

void Dialer::interrupt() noexcept {
    interrupted_ = true;
    for (int socket : connecting_) Loop::current().ring().shutdown(socket, SHUT_RDWR);
    for (auto* stream : handshaking_) stream->interrupt();
}

}  // namespace entrepot::load
