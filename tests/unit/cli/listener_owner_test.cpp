#include "cli/listener_owner.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

using namespace entrepot::cli;

namespace {

// 5001 is 0x1389.
constexpr std::string_view heading =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
constexpr std::string_view by_root =
    "   0: 0100007F:1389 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0\n";
constexpr std::string_view by_1000 =
    "   1: 00000000:1389 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12346 1 0 100 0 0 10 0\n";
constexpr std::string_view connected =
    "   2: 0100007F:1389 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1001        0 12347 1 0 20 4 30 10 -1\n";
constexpr std::string_view elsewhere =
    "   3: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 12348 1 0 100 0 0 10 0\n";

Listeners listeners(std::initializer_list<std::string_view> lines, unsigned user) {
    std::string table(heading);
    for (auto line : lines) table += line;
    return listeners_in(table, 5001, user);
}

}  // namespace

TEST_CASE("listener owner: root and the owner of the token are trusted, anybody else is a stranger") {
    CHECK(!listeners({}, 0).any);
    CHECK(!listeners({connected, elsewhere}, 0).any);
    CHECK(listeners({by_root, connected, elsewhere}, 0).any);
    CHECK(!listeners({by_root, connected, elsewhere}, 0).strangers);
    CHECK(listeners({by_root, by_1000}, 0).strangers);
    CHECK(!listeners({by_root, by_1000}, 1000).strangers);
    CHECK(listeners({by_1000}, 1001).strangers);
    CHECK(!listeners_in("nonsense\n\n: : 0A\n", 5001, 0).any);
}

TEST_CASE("listener owner: a listener of our own is found in the kernel's table") {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    CHECK(!listeners_belong_to(ntohs(address.sin_port), ::getuid()));
    REQUIRE(::listen(listener, 1) == 0);
    CHECK(listeners_belong_to(ntohs(address.sin_port), ::getuid()));
    ::close(listener);
}
