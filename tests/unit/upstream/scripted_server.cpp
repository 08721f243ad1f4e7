#include "upstream/scripted_server.h"

#include "entrepot/http/url.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace entrepot {
namespace {

int listen_on_loopback(std::uint16_t& port, int backlog = 1024) {
    int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    bool listens = ::bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0 && ::listen(socket, backlog) == 0 &&
                   ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0;
    if (!listens) std::abort();
    port = ntohs(address.sin_port);
    return socket;
}

bool equals_without_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

std::string ServedRequest::target() const {
    auto from = head.find(' ') + 1;
    return head.substr(from, head.find(' ', from) - from);
}

std::optional<std::string> ServedRequest::header(std::string_view name) const {
    std::string_view rest = head;
    for (rest.remove_prefix(rest.find("\r\n") + 2); rest.size() > 2;) {
        auto line = rest.substr(0, rest.find("\r\n"));
        rest.remove_prefix(line.size() + 2);
        auto colon = line.find(':');
        if (colon != line.npos && equals_without_case(line.substr(0, colon), name))
            return std::string(line.substr(std::min(colon + 2, line.size())));
    }
    return std::nullopt;
}

std::optional<std::string> ServedRequest::form(std::string_view name) const {
    auto encoded = find_query(body, name);
    return encoded ? percent_decode(*encoded) : std::nullopt;
}

Served Served::status(int status, std::string_view fields, std::string_view body) {
    Served served;
    bool framed = fields.find("Content-Length") != fields.npos || fields.find("Transfer-Encoding") != fields.npos;
    auto length = framed ? std::string() : fmt::format("Content-Length: {}\r\n", body.size());
    served.bytes = fmt::format("HTTP/1.1 {} Said\r\n{}{}\r\n{}", status, length, fields, body);
    return served;
}

Served Served::unauthorized(std::string_view challenge) {
    if (challenge.empty()) return status(401, "", "{}");
    return status(401, fmt::format("WWW-Authenticate: {}\r\n", challenge), "{}");
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)), listener_(listen_on_loopback(port_)) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    stop_read_ = ends[0];
    stop_write_ = ends[1];
    acceptor_ = std::thread([this] { accept_loop(); });
}

ScriptedServer::~ScriptedServer() {
    ::close(stop_write_);  // the other end becomes readable for everybody
    acceptor_.join();
    for (auto& thread : threads_) thread.join();
    ::close(listener_);
    ::close(stop_read_);
}

std::string ScriptedServer::url(std::string_view path) const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }

void ScriptedServer::script(Script script) {
    std::lock_guard guard(lock_);
    script_ = std::move(script);
}

std::vector<ServedRequest> ScriptedServer::requests() const {
    std::lock_guard guard(lock_);
    return requests_;
}

std::vector<std::string> ScriptedServer::logins() const {
    std::vector<std::string> found;
    for (auto& request : requests()) {
        if (auto value = request.header("Authorization")) found.push_back(request.target() + ": " + *value);
    }
    return found;
}

void ScriptedServer::accept_loop() {
    for (;;) {
        pollfd waits[] = {{listener_, POLLIN, 0}, {stop_read_, POLLIN, 0}};
        ::poll(waits, 2, -1);
        if (waits[1].revents) return;
        int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (socket < 0) continue;
        int connection = accepts_++;
        ++open_;
        threads_.emplace_back([this, socket, connection] { serve(socket, connection); });
    }
}

void ScriptedServer::serve(int socket, int connection) {
    std::string received;
    for (bool going = true; going;) {
        auto end = received.find("\r\n\r\n");
        ServedRequest request;
        if (end != received.npos) request.head = received.substr(0, end + 4);
        auto body_bytes = std::stoul(request.head.empty() ? "0" : request.header("Content-Length").value_or("0"));
        if (end == received.npos || received.size() < end + 4 + body_bytes) {
            pollfd waits[] = {{socket, POLLIN, 0}, {stop_read_, POLLIN, 0}};
            ::poll(waits, 2, -1);
            char piece[4096];
            auto got = waits[1].revents ? 0 : ::recv(socket, piece, sizeof piece, 0);
            going = got > 0;
            if (going) received.append(piece, static_cast<std::size_t>(got));
            continue;
        }
        Served served;
        {
            std::lock_guard guard(lock_);
            request.body = received.substr(end + 4, body_bytes);
            request.connection = connection;
            request.number = static_cast<int>(requests_.size());
            request.at = now();
            requests_.push_back(std::move(request));
            served = script_(requests_.back());
        }
        received.erase(0, end + 4 + body_bytes);
        going = deliver(socket, served);
    }
    ::close(socket);
    --open_;
}

/// False when the connection is over.
bool ScriptedServer::deliver(int socket, const Served& served) {
    auto send_all = [&](std::string_view bytes) {
        while (!bytes.empty()) {
            auto piece = served.drip > Duration::zero() ? bytes.substr(0, 1) : bytes;
            auto sent = ::send(socket, piece.data(), piece.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
            if (served.drip > Duration::zero() && !wait(served.drip)) return false;
        }
        return true;
    };
    if (served.more.empty() && !wait(served.first)) return false;
    if (!send_all(served.bytes)) return false;
    if (!served.more.empty() && (!wait(served.first) || !send_all(served.more))) return false;
    if (served.then == Served::Then::keep) return true;
    if (served.then == Served::Then::reset) {
        linger hard{1, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    if (served.then == Served::Then::hang) {
        pollfd waits[] = {{socket, POLLIN | POLLRDHUP, 0}, {stop_read_, POLLIN, 0}};
        ::poll(waits, 2, -1);
    }
    return false;
}

/// False when the test is over.
bool ScriptedServer::wait(Duration length) {
    if (length <= Duration::zero()) return true;
    pollfd stop{stop_read_, POLLIN, 0};
    return ::poll(&stop, 1, static_cast<int>(std::chrono::duration_cast<milliseconds>(length).count())) == 0;
}

SwallowingPort::SwallowingPort() {
    sockets_.push_back(listen_on_loopback(port_, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    for (int i = 0; i < 4; ++i) {
        sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ::connect(sockets_.back(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
}

SwallowingPort::~SwallowingPort() {
    for (int socket : sockets_) ::close(socket);
}

std::uint16_t closed_port() {
    std::uint16_t port = 0;
    ::close(listen_on_loopback(port));
    return port;
}

}  // namespace entrepot
