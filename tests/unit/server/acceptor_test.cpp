#include "entrepot/server/acceptor.h"

#include "support/loopback.h"
#include "support/second_loop.h"

#include <doctest/doctest.h>

namespace entrepot {
namespace {

/// Nobody asks anything in these tests.
class Silent final : public RequestHandler {
  public:
    Task<After> handle(Exchange&) override { co_return After::abort; }
    std::string refuse(std::uint16_t, std::string_view) override { return {}; }
};

/// A shard's part in accepting; made, used and ended on its loop.
struct Port {
    explicit Port(std::unique_ptr<Listener> listener, const Connections::Options& options = {})
        : connections(handler, nullptr, options), acceptor(Loop::current(), std::move(listener), connections) {}

    static std::unique_ptr<Port> open(const Connections::Options& options = {}) {
        auto listener = Listener::open(*Address::parse("127.0.0.1", 0));
        if (!listener) FAIL(listener.error());
        return std::make_unique<Port>(*std::move(listener), options);
    }
    Task<void> close() {
        acceptor.stop();
        connections.interrupt();
        co_await connections.close();
        co_await running.close();
    }

    Silent handler;
    Connections connections;
    Acceptor acceptor;
    TaskGroup running;
};

/// A port on a second shard. Its own address gets no client: what it has came from the first.
class FarPort {
  public:
    explicit FarPort(TestLoop& near, const Connections::Options& options = {}) : near_(near) {
        auto make = [&] { return make_port(options); };
        near_.run(far_.run(make));
    }
    ~FarPort() {
        auto end = [&] { return end_port(); };
        near_.run(far_.run(end));
    }
    Port& operator*() { return *port_; }
    Port* operator->() { return port_.get(); }

  private:
    Task<bool> make_port(const Connections::Options& options) {
        port_ = Port::open(options);
        co_return true;
    }
    Task<bool> end_port() {
        port_->running.start(port_->acceptor.run());
        co_await port_->close();
        port_.reset();
        co_return true;
    }

    TestLoop& near_;
    SecondLoop far_;
    std::unique_ptr<Port> port_;
};

}  // namespace

TEST_CASE("acceptor: a burst of connections is shared out evenly, though none has arrived at the other shard yet") {
    TestLoop loop;
    FarPort far(loop);
    auto near = Port::open();
    near->acceptor.set_peers({&near->acceptor, &far->acceptor});

    constexpr std::size_t count = 16;
    std::vector<std::unique_ptr<Stream>> clients;
    for (std::size_t i = 0; i < count; ++i) {
        auto connected = loop.run(connect_to({near->acceptor.address()}, true, soon()));
        REQUIRE(connected);
        clients.push_back(std::move(*connected));
    }
    near->running.start(near->acceptor.run());  // finds them all in the kernel's queue
    loop.run_until([&] { return near->connections.open() + far->connections.open() == count; });
    CHECK(near->connections.open() >= count / 2 - 1);
    CHECK(near->connections.open() <= count / 2 + 1);

    for (auto& client : clients) loop.run(client->close(CloseHow::orderly));
    loop.run_until([&] { return near->connections.open() + far->connections.open() == 0; });
    loop.run(near->close());
}

TEST_CASE("acceptor: a shard that is full takes nothing from another, and nobody is turned away") {
    TestLoop loop;
    Connections::Options options;
    options.connections_max = 4;
    FarPort far(loop, options);
    auto near = Port::open(options);
    near->acceptor.set_peers({&near->acceptor, &far->acceptor});
    near->running.start(near->acceptor.run());

    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 12; ++i) {
        auto connected = loop.run(connect_to({near->acceptor.address()}, true, soon()));
        REQUIRE(connected);
        clients.push_back(std::move(*connected));
    }
    loop.run_for(milliseconds(50));
    CHECK(near->connections.open() <= 4);
    CHECK(far->connections.open() <= 4);
    CHECK(near->connections.open() + far->connections.open() >= 6);
    // The others are only late: each gets a place when somebody leaves.
    for (auto& client : clients) {
        loop.run(client->close(CloseHow::abort));
        loop.run_for(milliseconds(1));
    }
    loop.run_until([&] { return near->connections.open() + far->connections.open() == 0; });
    loop.run(near->close());
}

}  // namespace entrepot
