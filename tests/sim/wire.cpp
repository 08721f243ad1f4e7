#include "wire.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>

namespace entrepot::sim {
namespace {

Ring& ring() { return Loop::current().ring(); }

}  // namespace

Name address_of(std::string_view ip, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    ASSERT(::inet_pton(AF_INET, std::string(ip).c_str(), &address.sin_addr) == 1);
    return Name::of(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Task<std::unique_ptr<Wire>> Wire::connect(Name to, Instant deadline) {
    int fd = ring().socket(to.storage.ss_family, SOCK_STREAM);
    auto* address = reinterpret_cast<const sockaddr*>(&to.storage);
    auto result = co_await connect_socket(fd, address, to.length, deadline);
    if (result == 0) co_return std::make_unique<Wire>(fd);
    ring().close(fd);
    co_return nullptr;
}

Task<bool> Wire::send(std::string_view bytes, Instant deadline) {
    while (!bytes.empty()) {
        auto sent = co_await send_some(fd_, bytes_of(bytes), 0, deadline);
        if (sent == -EINTR) continue;
        if (sent <= 0) co_return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    co_return true;
}

Task<bool> Wire::fill(Instant deadline, std::size_t bytes_max) {
    std::string part(bytes_max, '\0');
    MutableBytes into(reinterpret_cast<std::byte*>(part.data()), part.size());
    std::int32_t got = -EINTR;
    while (got == -EINTR) got = co_await receive_some(fd_, into, deadline);
    if (got <= 0) {
        end_result = got;
        co_return false;
    }
    buffer.append(part, 0, static_cast<std::size_t>(got));
    co_return true;
}

Task<std::optional<std::string>> Wire::take_until(std::string_view mark, Instant deadline) {
    constexpr std::size_t text_bytes_max = 64 * KiB;
    while (true) {
        auto found = buffer.find(mark);
        if (found != buffer.npos) {
            auto text = buffer.substr(0, found + mark.size());
            buffer.erase(0, text.size());
            co_return text;
        }
        if (buffer.size() > text_bytes_max) co_return std::nullopt;
        bool more = co_await fill(deadline);
        if (!more) co_return std::nullopt;
    }
}

void Wire::close(bool reset) {
    if (reset) {
        linger setting{.l_onoff = 1, .l_linger = 0};
        ring().set_option(fd_, SOL_SOCKET, SO_LINGER, &setting, sizeof setting);
    }
    ring().close(std::exchange(fd_, -1));
}

Server::Server(Name at, Serve serve, void* context)
    : fd_(ring().socket(at.storage.ss_family, SOCK_STREAM)), serve_(serve), context_(context), accepting_(*this) {
    ASSERT(ring().bind_and_listen(fd_, reinterpret_cast<const sockaddr*>(&at.storage), at.length, 128) == 0);
    accept();
}

void Server::accept() {
    Request request;
    request.kind = Request::Kind::accept;
    request.fd = fd_;
    ring().submit(accepting_, request);
}

void Server::Accepting::on_completed(Operation& operation, std::int32_t result, std::uint32_t, bool more) noexcept {
    auto& server = static_cast<Accepting&>(operation).server;
    if (result >= 0) server.connections_.start(server.serve_(server.context_, std::make_unique<Wire>(result)));
    if (more) return;
    if (server.stopping_) server.ended_.notify_all();
    else server.accept();
}

void Server::stop() {
    stopping_ = true;
    if (accepting_.in_flight()) ring().cancel(accepting_);
}

Task<void> Server::close() {
    while (accepting_.in_flight()) co_await ended_.wait();
    ring().close(fd_);
    co_await connections_.close();
}

std::optional<Head> Head::parse(std::string_view text) {
    Head head;
    bool first = true;
    while (!text.empty()) {
        auto end = text.find("\r\n");
        if (end == text.npos) return std::nullopt;
        auto line = text.substr(0, end);
        text.remove_prefix(end + 2);
        if (std::exchange(first, false)) {
            head.first_line = line;
            continue;
        }
        if (line.empty()) return text.empty() ? std::optional(head) : std::nullopt;
        auto colon = line.find(':');
        if (colon == line.npos || colon == 0) return std::nullopt;
        std::string name(line.substr(0, colon));
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
        auto value = line.substr(colon + 1);
        while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        while (!value.empty() && value.back() == ' ') value.remove_suffix(1);
        head.fields.emplace(std::move(name), value);
    }
    return std::nullopt;
}

std::string Head::field(const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? std::string() : found->second;
}

int Head::status() const {
    if (first_line.size() < 12 || first_line.compare(0, 9, "HTTP/1.1 ") != 0) return 0;
    return std::atoi(first_line.c_str() + 9);
}

}  // namespace entrepot::sim
