#include "entrepot/net/address.h"

#include <doctest/doctest.h>

#include <arpa/inet.h>

#include <cstring>

using namespace entrepot;

namespace {

bool is_private(const char* ip) {
    auto address = Address::parse(ip, 443);
    REQUIRE(address);
    return address->is_private();
}

}  // namespace

TEST_CASE("address: text goes in and comes out") {
    CHECK(Address::parse("127.0.0.1", 5000)->text() == "127.0.0.1:5000");
    CHECK(Address::parse("::1", 5000)->text() == "[::1]:5000");
    CHECK(Address::parse("[2001:DB8:0:0::1]", 0)->text() == "[2001:db8::1]:0");
    CHECK(Address::parse("[::1]", 1)->ip_text() == "::1");
    CHECK(Address::parse("10.1.2.3", 65535)->port() == 65535);
    CHECK(Address::parse("10.1.2.3", 1)->with_port(2).text() == "10.1.2.3:2");
}

TEST_CASE("address: what other resolvers read as an address is a name to us") {
    for (const char* text : {"",
                             "127.1",
                             "0x7f000001",
                             "0x7f.0.0.1",
                             "2130706433",
                             "0177.0.0.1",
                             "127.0.0.01",
                             "127.0.0.1.",
                             "127.0.0.256",
                             "1.2.3",
                             "localhost",
                             "[127.0.0.1]",
                             "::1]",
                             "[::1",
                             ":::",
                             "fe80::1%eth0",
                             "1:2:3:4:5:6:7:8:9",
                             " 127.0.0.1",
                             "127.0.0.1 ",
                             "0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"}) {
        CAPTURE(text);
        CHECK(!Address::parse(text, 80));
    }
    CHECK(!Address::parse(std::string_view("127.0.0.1\0", 10), 80));
}

TEST_CASE("address: a listen address has a port, and a star for every network") {
    CHECK(Address::parse_with_port("127.0.0.1:5000")->text() == "127.0.0.1:5000");
    CHECK(Address::parse_with_port("[::1]:5000")->text() == "[::1]:5000");
    CHECK(Address::parse_with_port(":5000")->text() == "[::]:5000");
    CHECK(Address::parse_with_port("*:5000")->text() == "[::]:5000");
    CHECK(Address::parse_with_port("0.0.0.0:0")->port() == 0);
    for (const char* text : {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
                             "127.0.0.1:80x", "::1:5000", "[::1]5000", "host:80"}) {
        CAPTURE(text);
        CHECK(!Address::parse_with_port(text));
    }
}

TEST_CASE("address: a kernel address of the right length becomes a value, another does not") {
    auto address = *Address::parse("192.0.2.7", 99);
    CHECK(Address::from(address.data(), address.length()) == address);
    CHECK(!Address::from(address.data(), 4));
    sockaddr_storage local{};
    local.ss_family = AF_UNIX;
    CHECK(!Address::from(reinterpret_cast<sockaddr*>(&local), sizeof local));
}

TEST_CASE("address: equal means family, bytes and port") {
    CHECK(*Address::parse("127.0.0.1", 1) == *Address::parse("127.0.0.1", 1));
    CHECK_FALSE(*Address::parse("127.0.0.1", 1) == *Address::parse("127.0.0.1", 2));
    CHECK_FALSE(*Address::parse("127.0.0.1", 1) == *Address::parse("127.0.0.2", 1));
    CHECK_FALSE(*Address::parse("127.0.0.1", 1) == *Address::parse("::ffff:127.0.0.1", 1));
    CHECK(*Address::parse("0:0::1", 1) == *Address::parse("::1", 1));
    CHECK(Address{} == Address{});
}

TEST_CASE("address: loopback in each spelling") {
    for (const char* ip : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) {
        CAPTURE(ip);
        CHECK(Address::parse(ip, 1)->is_loopback());
    }
    for (const char* ip : {"126.255.255.255", "128.0.0.1", "::2", "::ffff:128.0.0.1", "10.0.0.1"}) {
        CAPTURE(ip);
        CHECK(!Address::parse(ip, 1)->is_loopback());
    }
}

TEST_CASE("address: private is everything but plain public unicast, to the edges of each range") {
    for (const char* ip : {"0.0.0.0",
                           "0.255.255.255",
                           "10.0.0.0",
                           "10.255.255.255",
                           "100.64.0.0",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.0.0",
                           "169.254.169.254",
                           "169.254.255.255",
                           "172.16.0.0",
                           "172.31.255.255",
                           "192.0.0.0",
                           "192.0.0.255",
                           "192.0.2.1",
                           "192.88.99.1",
                           "192.168.0.0",
                           "192.168.255.255",
                           "198.18.0.0",
                           "198.19.255.255",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::127.0.0.1",
                           "::ffff:127.0.0.1",
                           "::ffff:7f00:1",
                           "::ffff:10.0.0.1",
                           "::ffff:169.254.169.254",
                           "64:ff9b::10.0.0.1",
                           "64:ff9b::a9fe:a9fe",
                           "64:ff9b:1::8.8.8.8",
                           "100::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "fdff:ffff::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "ff02::1",
                           "2001::1",
                           "2001:1ff::1",
                           "2001:db8::1",
                           "2002:7f00:1::",
                           "2002:808:808::",
                           "3fff::1",
                           "3fff:fff::1",
                           "4000::1",
                           "1fff::1",
                           "5f00::1"}) {
        CAPTURE(ip);
        CHECK(is_private(ip));
    }
    for (const char* ip :
         {"1.0.0.0",         "8.8.8.8",          "9.255.255.255",   "11.0.0.0",      "100.63.255.255",       "100.128.0.0",
          "126.255.255.255", "128.0.0.1",        "169.253.255.255", "169.255.0.0",   "172.15.255.255",       "172.32.0.0",
          "192.0.1.0",       "192.0.3.0",        "192.88.98.255",   "192.88.100.0",  "192.167.255.255",      "192.169.0.0",
          "198.17.255.255",  "198.20.0.0",       "198.51.99.255",   "203.0.112.255", "203.0.114.0",          "223.255.255.255",
          "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "2000::1",         "2001:200::1",   "2001:4860:4860::8888", "2001:db7::1",
          "2001:db9::1",     "2003::1",          "2606:4700::1111", "3ffe::1",       "3fff:1000::1"}) {
        CAPTURE(ip);
        CHECK(!is_private(ip));
    }
    CHECK(Address{}.is_private());
}
