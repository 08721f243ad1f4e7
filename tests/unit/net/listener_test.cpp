#include "entrepot/net/listener.h"

#include "support/loopback.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

#include <algorithm>
#include <vector>

using namespace entrepot;
using namespace std::chrono_literals;

namespace {

Address any_port() { return *Address::parse("127.0.0.1", 0); }

std::unique_ptr<Listener> listen_on(const Address& address) {
    auto opened = Listener::open(address);
    if (!opened) FAIL(opened.error());
    return std::move(*opened);
}

void end(TestLoop& loop, Listener& listener) {
    listener.stop();
    loop.run(listener.close());
}

std::unique_ptr<Stream> connect_plainly(TestLoop& loop, const Address& address) {
    std::vector<Address> addresses{address};
    auto connected = loop.run(connect_to(addresses, true, soon()));
    REQUIRE(connected);
    return std::move(*connected);
}

void close(TestLoop& loop, std::vector<std::unique_ptr<Stream>>& streams) {
    for (auto& stream : streams) loop.run(stream->close(CloseHow::abort));
    streams.clear();
}

/// Descriptors are a property of the process: put back what a test took.
class DescriptorLimit {
  public:
    explicit DescriptorLimit(rlim_t limit) {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit now = before_;
        now.rlim_cur = limit;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
    }
    ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("listener: one that was never asked for a connection closes as it goes") {
    TestLoop loop;
    auto address = listen_on(any_port())->address();
    auto listener = listen_on(address);
    CHECK(listener->address().text() == address.text());
    end(loop, *listener);
}

TEST_CASE("listener: port 0 becomes a free port, and connections arrive in order") {
    TestLoop loop;
    auto listener = listen_on(any_port());
    CHECK(listener->address().port() != 0);
    std::vector<std::unique_ptr<Stream>> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(connect_plainly(loop, listener->address()));
        int socket = loop.run(listener->accept());
        REQUIRE(socket >= 0);
        CHECK((::fcntl(socket, F_GETFL) & O_NONBLOCK));
        CHECK((::fcntl(socket, F_GETFD) & FD_CLOEXEC));
        int no_delay = 0;
        socklen_t length = sizeof no_delay;
        REQUIRE(::getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length) == 0);
        CHECK(no_delay == 1);
        loop->ring().close(socket);
    }
    close(loop, clients);
    end(loop, *listener);
}

TEST_CASE("listener: accepting with first bytes waits for a client to speak, but not for ever") {
    TestLoop loop;
    auto opened = Listener::open(any_port(), Accepting::with_first_bytes);
    REQUIRE(opened);
    auto& listener = **opened;
    std::vector<std::unique_ptr<Stream>> clients;
    clients.push_back(connect_plainly(loop, listener.address()));
    auto accepting = listener.accept();
    loop.run_for(30ms);
    CHECK(!accepting.done());
    REQUIRE(loop.run(send_text(*clients[0], "GET")));
    auto speaker = make_client_stream(loop.run(std::move(accepting)), listener.address());
    CHECK(*loop.run(read_all(*speaker, 3)) == "GET");

    clients.push_back(connect_plainly(loop, listener.address()));
    auto before = now();
    auto silent = make_client_stream(loop.run(listener.accept()), listener.address());
    CHECK(now() - before > 500ms);
    CHECK(now() - before < 5s);
    clients.push_back(std::move(speaker));
    clients.push_back(std::move(silent));
    close(loop, clients);
    end(loop, listener);
}

TEST_CASE("listener: stop ends a waiting accept, and every later one") {
    TestLoop loop;
    auto listener = listen_on(any_port());
    auto accepting = listener->accept();
    loop.run_for(2ms);
    CHECK(!accepting.done());
    listener->stop();
    CHECK(loop.run(std::move(accepting)) == -ECANCELED);
    CHECK(loop.run(listener->accept()) == -ECANCELED);
    loop.run(listener->close());
}

TEST_CASE("listener: a listener that was never used closes") {
    TestLoop loop;
    auto listener = listen_on(any_port());
    end(loop, *listener);
}

TEST_CASE("listener: two listeners share an address") {
    TestLoop loop;
    auto first = listen_on(any_port());
    auto second = listen_on(first->address());
    CHECK(second->address() == first->address());
    end(loop, *first);
    end(loop, *second);
}

TEST_CASE("listener: every address means both families") {
    TestLoop loop;
    auto listener = listen_on(*Address::parse_with_port("*:0"));
    std::vector<std::unique_ptr<Stream>> clients;
    clients.push_back(connect_plainly(loop, *Address::parse("127.0.0.1", listener->address().port())));
    loop->ring().close(loop.run(listener->accept()));
    if (listener->address().family() == AF_INET6) {
        clients.push_back(connect_plainly(loop, *Address::parse("::1", listener->address().port())));
        loop->ring().close(loop.run(listener->accept()));
    }
    close(loop, clients);
    end(loop, *listener);
}

TEST_CASE("listener: the reason for not listening is one line for the operator") {
    TestLoop loop;
    auto foreign = Listener::open(*Address::parse("192.0.2.1", 5000));
    REQUIRE(!foreign);
    CHECK(foreign.error() ==
          "cannot listen on 192.0.2.1:5000: Cannot assign requested address (no interface of this machine has it)");

    // A socket without SO_REUSEPORT is somebody else's server.
    int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto address = any_port();
    REQUIRE(::bind(other, address.data(), address.length()) == 0);
    REQUIRE(::listen(other, 1) == 0);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    REQUIRE(::getsockname(other, reinterpret_cast<sockaddr*>(&bound), &length) == 0);
    auto taken = *Address::from(reinterpret_cast<sockaddr*>(&bound), length);
    auto refused = Listener::open(taken);
    REQUIRE(!refused);
    CHECK(refused.error() == "cannot listen on " + taken.text() + ": address already in use (is another server running?)");
    ::close(other);
}

TEST_CASE("listener: what nobody accepts waits in the kernel, and none is lost") {
    TestLoop loop;
    auto listener = listen_on(any_port());
    constexpr int count = 400;  // more than the queue holds
    std::vector<std::unique_ptr<Stream>> clients;
    clients.push_back(connect_plainly(loop, listener->address()));
    int first = loop.run(listener->accept());  // arms the multishot
    REQUIRE(first >= 0);
    for (int i = 1; i < count; ++i) clients.push_back(connect_plainly(loop, listener->address()));
    std::vector<int> accepted{first};
    while (accepted.size() < count) {
        int socket = loop.run(listener->accept());
        REQUIRE(socket >= 0);
        accepted.push_back(socket);
    }
    for (int socket : accepted) loop->ring().close(socket);
    close(loop, clients);
    end(loop, *listener);
}

TEST_CASE("listener: connections in its queue are closed with it") {
    TestLoop loop;
    auto listener = listen_on(any_port());
    std::vector<std::unique_ptr<Stream>> clients;
    clients.push_back(connect_plainly(loop, listener->address()));
    loop->ring().close(loop.run(listener->accept()));
    clients.push_back(connect_plainly(loop, listener->address()));
    loop.run_for(5ms);
    end(loop, *listener);
    auto end_of_stream = loop.run(clients.back()->receive(soon()));
    CHECK((!end_of_stream || end_of_stream->empty()));
    close(loop, clients);
}

TEST_CASE("listener: without descriptors it waits, and goes on when there are some") {
    TestLoop loop;
    auto listener = listen_on(any_port());
    std::vector<std::unique_ptr<Stream>> clients;
    clients.push_back(connect_plainly(loop, listener->address()));
    auto lowest_free = static_cast<rlim_t>(::dup(0));
    ::close(static_cast<int>(lowest_free));
    auto accepting = [&] {
        DescriptorLimit none(lowest_free);
        auto task = listener->accept();
        loop.run_for(250ms);
        CHECK(!task.done());
        return task;
    }();
    int socket = loop.run(std::move(accepting));
    REQUIRE(socket >= 0);
    loop->ring().close(socket);
    close(loop, clients);
    end(loop, *listener);
}
