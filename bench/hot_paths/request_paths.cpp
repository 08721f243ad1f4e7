// Whole requests, from the completion of the receive to the send, through every layer of a server that has the content in memory. What counts is what
// the server's thread runs in user space; clients on the same thread and the kernel do not. Sixteen connections ask at once, as a busy shard sees it, so the
// turn of the loop is shared.

#include "path.h"
#include "requests.h"
#include "server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace entrepot::bench {
namespace {

constexpr unsigned client_count = 16;
constexpr unsigned times = 320;  // operations of a round
constexpr unsigned turns_max = 1000;

/// One connection, and the answer it waits for.
class Client {
  public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { close(); }

    void connect(const Address& address) {
        close();
        socket_ = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        ASSERT(socket_ >= 0);
        ASSERT(::connect(socket_, address.data(), address.length()) == 0);
    }
    void ask(const std::string& request) {
        ASSERT(::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
        answer_.clear();
    }
    /// Takes what has come. True when the answer is complete: a head, and a body of so many bytes.
    bool answered(std::size_t body_bytes) {
        std::array<char, 8192> space;
        auto received = ::recv(socket_, space.data(), space.size(), MSG_DONTWAIT);
        ASSERT(received > 0 || (received < 0 && errno == EAGAIN));
        if (received > 0) answer_.append(space.data(), static_cast<std::size_t>(received));
        auto head_end = answer_.find("\r\n\r\n");
        if (head_end == std::string::npos) return false;
        ASSERT(answer_.starts_with("HTTP/1.1 200 OK\r\n"));
        ASSERT(answer_.find("X-Entrepot-Cache: hit\r\n") < head_end);
        return answer_.size() == head_end + 4 + body_bytes;
    }
    void close() noexcept {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }

  private:
    int socket_ = -1;
    std::string answer_;
};

/// The server and its clients, who live as long as any path does.
class Scene {
  public:
    explicit Scene(const std::string& directory) : server_(directory) {
        for (auto& client : clients_) client.connect(server_.address());
    }
    ~Scene() {
        for (auto& client : clients_) client.close();
        server_.enter();
        for (unsigned turn = 0; turn < turns_max && server_.connections() > 0; ++turn) server_.turn();
    }

    Server& server() noexcept { return server_; }

    void ask_on_kept_connections(Meter& meter, unsigned count, const std::string& request, std::size_t body_bytes) {
        for (unsigned done = 0; done < count; done += client_count) {
            for (auto& client : clients_) client.ask(request);
            until_answered(meter, body_bytes);
        }
    }

    void ask_on_new_connections(Meter& meter, unsigned count, const std::string& request, std::size_t body_bytes) {
        for (unsigned done = 0; done < count; done += client_count) {
            for (auto& client : clients_) {
                client.connect(server_.address());
                client.ask(request);
            }
            until_answered(meter, body_bytes);
        }
        for (auto& client : clients_) client.connect(server_.address());
    }

  private:
    void until_answered(Meter& meter, std::size_t body_bytes) {
        server_.enter();
        std::array<bool, client_count> answered{};
        unsigned waiting = client_count;
        for (unsigned turn = 0; waiting > 0; ++turn) {
            ASSERT(turn < turns_max);
            meter.start();
            if (turn == 0) server_.turn_and_wait();
            else server_.turn();
            meter.stop();
            for (unsigned i = 0; i < client_count; ++i) {
                if (answered[i] || !clients_[i].answered(body_bytes)) continue;
                answered[i] = true;
                --waiting;
            }
        }
    }

    Server server_;
    std::array<Client, client_count> clients_;
};

using ScenePtr = std::shared_ptr<Scene>;

HotPath kept(std::string name, const ScenePtr& scene, std::string request, std::size_t body_bytes = Server::content_bytes) {
    auto work = [scene, request = std::move(request), body_bytes](Meter& meter, unsigned count) {
        scene->ask_on_kept_connections(meter, count, request, body_bytes);
    };
    return {std::move(name), times, work};
}

HotPath anew(std::string name, const ScenePtr& scene, std::string request) {
    auto work = [scene, request = std::move(request)](Meter& meter, unsigned count) {
        scene->ask_on_new_connections(meter, count, request, Server::content_bytes);
    };
    return {std::move(name), times, work};
}

}  // namespace

Paths request_paths(const std::string& scratch) {
    auto scene = std::make_shared<Scene>(scratch + "/store");
    auto of = [&](std::string_view kind, std::string_view reference) {
        return fmt::format("/v2/{}/{}/{}", Server::repository, kind, reference);
    };
    auto by_tag = of("manifests", Server::tag);
    auto by_digest = of("manifests", scene->server().manifest()) + "?ns=docker.io";
    auto blob = of("blobs", scene->server().blob()) + "?ns=docker.io";
    Paths all;
    all.push_back(kept("request: docker, GET manifest by tag", scene, docker_request("GET", by_tag)));
    all.push_back(kept("request: docker, HEAD manifest by tag", scene, docker_request("HEAD", by_tag), 0));
    all.push_back(kept("request: containerd, GET manifest by digest", scene, containerd_request("GET", by_digest)));
    all.push_back(kept("request: containerd, GET blob of 2 KiB", scene, containerd_request("GET", blob)));
    all.push_back(
        anew("request: docker, GET manifest, new connection", scene, docker_request("GET", by_tag, "Connection: close\r\n")));
    return all;
}

}  // namespace entrepot::bench
