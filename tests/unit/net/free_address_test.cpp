#include "entrepot/net/free_address.h"

#include "entrepot/net/listener.h"
#include "support/loopback.h"

#include <doctest/doctest.h>

#include <thread>

using namespace entrepot;
using namespace std::chrono_literals;

TEST_CASE("free address: one that somebody listens on is waited for, and refused when it does not become free") {
    TestLoop loop;
    auto opened = Listener::open(*Address::parse("127.0.0.1", 0));
    REQUIRE(opened);
    auto& listener = **opened;
    auto address = listener.address();
    auto refused = wait_until_free(address, 20ms);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() ==
          "cannot listen on " + address.text() + ": another process listens there; stop it, or name another address");

    Result<void, std::string> waited = std::string("not asked");
    std::thread other([&] { waited = wait_until_free(address, 10s); });
    listener.stop();
    loop.run(listener.close());
    other.join();
    CHECK(waited);
}

TEST_CASE("free address: any free port is free, and what cannot be bound for another reason is not waited for") {
    CHECK(wait_until_free(*Address::parse("127.0.0.1", 0), 0ms));
    CHECK(wait_until_free(*Address::parse("192.0.2.1", 5000), 0ms));  // no interface has it: the listener says so
}
