#include "entrepot/net/connect.h"

#include "support/loopback.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

Address bound_address(int socket) {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &length) == 0);
    return *Address::from(reinterpret_cast<sockaddr*>(&bound), length);
}

/// An address that nobody listens on: bound, so that nobody else takes it, but without listen().
class RefusingAddress {
  public:
    explicit RefusingAddress(const char* ip = "127.0.0.1") {
        auto any = *Address::parse(ip, 0);
        socket_ = ::socket(any.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(::bind(socket_, any.data(), any.length()) == 0);
        address = bound_address(socket_);
    }
    ~RefusingAddress() { ::close(socket_); }
    Address address;

  protected:
    int socket_;
};

/// An address that drops connection attempts: its backlog is full and nobody accepts.
class BlackHole : RefusingAddress {
  public:
    BlackHole() {
        REQUIRE(::listen(socket_, 0) == 0);
        for (auto& filler : fillers_) {
            filler = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            ::connect(filler, RefusingAddress::address.data(), RefusingAddress::address.length());
        }
    }
    ~BlackHole() {
        for (int filler : fillers_) ::close(filler);
    }
    using RefusingAddress::address;

  private:
    int fillers_[4];
};

class Server {
  public:
    explicit Server(TestLoop& loop) : loop_(loop) {
        auto opened = Listener::open(*Address::parse("127.0.0.1", 0));
        if (!opened) FAIL(opened.error());
        listener_ = std::move(*opened);
    }
    ~Server() {
        listener_->stop();
        loop_.run(listener_->close());
    }
    const Address& address() const { return listener_->address(); }

  private:
    TestLoop& loop_;
    std::unique_ptr<Listener> listener_;
};

int open_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
    return count;
}

void expect_connected(TestLoop& loop, Result<std::unique_ptr<Stream>> result, const Address& to) {
    REQUIRE(result);
    CHECK((*result)->peer() == to);
    CHECK(!(*result)->is_tls());
    loop.run((*result)->close(CloseHow::orderly));
}

}  // namespace

TEST_CASE("connect: the first address wins when it answers") {
    TestLoop loop;
    Server first(loop), second(loop);
    expect_connected(loop, loop.run(connect_to({first.address(), second.address()}, true, soon())), first.address());
}

TEST_CASE("connect: after a refusal the next address is tried at once") {
    TestLoop loop;
    RefusingAddress refusing;
    Server server(loop);
    auto started = now();
    expect_connected(loop, loop.run(connect_to({refusing.address, server.address()}, true, soon())), server.address());
    CHECK(now() - started < 240ms);  // sooner than the silent address's turn would end
}

TEST_CASE("connect: an address that stays silent costs 250 ms, and its socket is closed") {
    TestLoop loop;
    BlackHole silent;
    Server server(loop);
    int before = open_descriptors();
    auto started = now();
    expect_connected(loop, loop.run(connect_to({silent.address, server.address()}, true, soon())), server.address());
    CHECK(now() - started >= 240ms);
    CHECK(now() - started < 1s);
    CHECK(open_descriptors() == before);
    CHECK(loop->ring().in_flight() == 0);
}

TEST_CASE("connect: the deadline ends attempts that nobody answers") {
    TestLoop loop;
    BlackHole silent;
    int before = open_descriptors();
    auto started = now();
    auto result = loop.run(connect_to({silent.address}, true, now() + 60ms));
    REQUIRE(!result);
    CHECK(result.error() == Error{Fault::upstream, Code::timeout, ETIMEDOUT});
    CHECK(now() - started >= 60ms);
    CHECK(now() - started < 1s);
    CHECK(open_descriptors() == before);
}

TEST_CASE("connect: when every address refuses, the error says so") {
    TestLoop loop;
    RefusingAddress first, second;
    auto result = loop.run(connect_to({first.address, second.address}, true, soon()));
    REQUIRE(!result);
    CHECK(result.error() == Error{Fault::upstream, Code::refused, ECONNREFUSED});
}

TEST_CASE("connect: a family without a route does not hide why the other one failed") {
    TestLoop loop;
    RefusingAddress refusing;
    // TCP to a multicast address is "network unreachable" without a packet on any wire.
    auto result = loop.run(connect_to({*Address::parse("224.0.0.1", 9), refusing.address}, true, soon()));
    REQUIRE(!result);
    CHECK(result.error() == Error{Fault::upstream, Code::refused, ECONNREFUSED});
}

TEST_CASE("connect: private addresses are left out unless they are allowed") {
    TestLoop loop;
    Server server(loop);
    auto result = loop.run(
        connect_to({server.address(), *Address::parse("::1", 80), *Address::parse("169.254.169.254", 80)}, false, soon()));
    REQUIRE(!result);
    CHECK(result.error() == Error{Fault::policy, Code::address_forbidden, 0});
}

TEST_CASE("connect: no address is an unresolved name") {
    TestLoop loop;
    auto result = loop.run(connect_to({}, true, soon()));
    REQUIRE(!result);
    CHECK(result.error().code == Code::name_unresolved);
}
