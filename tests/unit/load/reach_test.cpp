#include "load/reach.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;

namespace {

Origin origin(std::string_view url) { return parse_url(url)->origin; }

}  // namespace

TEST_CASE("reach: only what the user named is there, by its port") {
    Reach reach;
    REQUIRE(reach.add_server(origin("http://127.0.0.1:5000/")));
    CHECK(reach.addresses_of(origin("http://127.0.0.1:5000/")));
    CHECK(!reach.addresses_of(origin("http://127.0.0.1:5001/")));
    CHECK(!reach.addresses_of(origin("http://127.0.0.2:5000/")));
    CHECK(!reach.addresses_of(origin("http://localhost:5000/")));
}

TEST_CASE("reach: a host to follow is meant with any port, or with the one that stands there") {
    Reach reach;
    REQUIRE(reach.add_follow("127.0.0.2"));
    REQUIRE(reach.add_follow("[::1]:8443"));
    CHECK(reach.addresses_of(origin("https://127.0.0.2/")));
    CHECK(reach.addresses_of(origin("http://127.0.0.2:81/")));
    CHECK(reach.addresses_of(origin("https://[::1]:8443/")));
    CHECK(!reach.addresses_of(origin("https://[::1]:8444/")));
}

TEST_CASE("reach: names without an address are told, and nonsense is refused") {
    Reach reach;
    auto unknown = reach.add_server(origin("http://no-such-host.invalid/"));
    REQUIRE(!unknown);
    CHECK(unknown.error().find("no-such-host.invalid has no address") == 0);
    for (const char* text : {"", "http://h/", "h:0", "h:99999", "a b"}) CHECK(!reach.add_follow(text));
}
