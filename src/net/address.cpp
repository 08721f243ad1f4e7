#include "entrepot/net/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>

namespace entrepot {
namespace {

using V4 = std::array<std::uint8_t, 4>;
using V6 = std::array<std::uint8_t, 16>;

const sockaddr_in& v4_of(const sockaddr_storage& storage) { return reinterpret_cast<const sockaddr_in&>(storage); }
sockaddr_in& v4_of(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in&>(storage); }
const sockaddr_in6& v6_of(const sockaddr_storage& storage) { return reinterpret_cast<const sockaddr_in6&>(storage); }
sockaddr_in6& v6_of(sockaddr_storage& storage) { return reinterpret_cast<sockaddr_in6&>(storage); }

V4 v4_bytes(const sockaddr_storage& storage) {
    V4 bytes;
    std::memcpy(bytes.data(), &v4_of(storage).sin_addr, bytes.size());
    return bytes;
}

V6 v6_bytes(const sockaddr_storage& storage) {
    V6 bytes;
    std::memcpy(bytes.data(), &v6_of(storage).sin6_addr, bytes.size());
    return bytes;
}

/// True when the first `bits` bits of both are equal.
bool shares_prefix(std::span<const std::uint8_t> address, std::span<const std::uint8_t> prefix, unsigned bits) {
    unsigned whole = bits / 8;
    if (!std::equal(address.begin(), address.begin() + whole, prefix.begin())) return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((address[whole] ^ prefix[whole]) >> (8 - rest)) == 0;
}

template <typename Bytes>
struct Network {
    Bytes prefix;
    unsigned bits;
};

// The IANA special-purpose registry for IPv4: what is not plain public unicast.
constexpr Network<V4> special_v4[] = {
    {{0, 0, 0, 0}, 8},        // this network (RFC 791); 0.0.0.0 reaches the host itself on Linux
    {{10, 0, 0, 0}, 8},       // private (RFC 1918)
    {{100, 64, 0, 0}, 10},    // carrier-grade NAT (RFC 6598)
    {{127, 0, 0, 0}, 8},      // loopback
    {{169, 254, 0, 0}, 16},   // link-local, where clouds keep their metadata service
    {{172, 16, 0, 0}, 12},    // private (RFC 1918)
    {{192, 0, 0, 0}, 24},     // IETF protocol assignments
    {{192, 0, 2, 0}, 24},     // documentation
    {{192, 88, 99, 0}, 24},   // 6to4 relays (RFC 7526: deprecated)
    {{192, 168, 0, 0}, 16},   // private (RFC 1918)
    {{198, 18, 0, 0}, 15},    // benchmarks (RFC 2544)
    {{198, 51, 100, 0}, 24},  // documentation
    {{203, 0, 113, 0}, 24},   // documentation
    {{224, 0, 0, 0}, 4},      // multicast
    {{240, 0, 0, 0}, 4},      // reserved, with limited broadcast
};

constexpr Network<V6> mapped_v4{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
constexpr Network<V6> nat64{{0x00, 0x64, 0xff, 0x9b}, 96};
constexpr Network<V6> global_unicast{{0x20}, 3};

// Parts of 2000::/3 that are not plain public unicast. What lies outside of 2000::/3 is never.
constexpr Network<V6> special_v6[] = {
    {{0x20, 0x01}, 23},              // IETF protocol assignments, with Teredo (it embeds IPv4 addresses)
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x20, 0x02}, 16},              // 6to4: embeds an IPv4 address (RFC 7526: deprecated)
    {{0x3f, 0xff}, 20},              // documentation (RFC 9637)
};

bool is_private_v4(const V4& address) {
    return std::any_of(std::begin(special_v4), std::end(special_v4),
                       [&](const auto& network) { return shares_prefix(address, network.prefix, network.bits); });
}

V4 last_four(const V6& address) { return {address[12], address[13], address[14], address[15]}; }

bool is_private_v6(const V6& address) {
    for (const auto& carrier : {mapped_v4, nat64}) {
        if (shares_prefix(address, carrier.prefix, carrier.bits)) return is_private_v4(last_four(address));
    }
    if (!shares_prefix(address, global_unicast.prefix, global_unicast.bits)) return true;
    return std::any_of(std::begin(special_v6), std::end(special_v6),
                       [&](const auto& network) { return shares_prefix(address, network.prefix, network.bits); });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return port;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view ip, std::uint16_t port) noexcept {
    bool bracketed = ip.size() >= 2 && ip.front() == '[' && ip.back() == ']';
    if (bracketed) ip = ip.substr(1, ip.size() - 2);
    char text[INET6_ADDRSTRLEN] = {};
    if (ip.empty() || ip.size() >= sizeof text || ip.find('\0') != ip.npos) return std::nullopt;
    std::copy(ip.begin(), ip.end(), text);

    // inet_pton knows dotted decimals only: no leading zeros, no hexadecimal, no missing parts.
    Address address;
    if (!bracketed && ::inet_pton(AF_INET, text, &v4_of(address.storage_).sin_addr) == 1) {
        v4_of(address.storage_).sin_family = AF_INET;
        address.length_ = sizeof(sockaddr_in);
        return address.with_port(port);
    }
    if (::inet_pton(AF_INET6, text, &v6_of(address.storage_).sin6_addr) == 1) {
        v6_of(address.storage_).sin6_family = AF_INET6;
        address.length_ = sizeof(sockaddr_in6);
        return address.with_port(port);
    }
    return std::nullopt;
}

std::optional<Address> Address::parse_with_port(std::string_view text) noexcept {
    auto colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    auto port = parse_port(text.substr(colon + 1));
    if (!port) return std::nullopt;
    auto ip = text.substr(0, colon);
    if (ip.empty() || ip == "*") return parse("::", *port);
    // "::1:5000" could be an address without a port: IPv6 wants its brackets here.
    if (ip.front() != '[' && ip.find(':') != ip.npos) return std::nullopt;
    return parse(ip, *port);
}

std::optional<Address> Address::from(const sockaddr* address, socklen_t length) noexcept {
    bool known = (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) ||
                 (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6));
    if (!known) return std::nullopt;
    Address result;
    result.length_ = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(&result.storage_, address, result.length_);
    return result;
}

std::uint16_t Address::port() const noexcept {
    if (family() == AF_INET) return ntohs(v4_of(storage_).sin_port);
    if (family() == AF_INET6) return ntohs(v6_of(storage_).sin6_port);
    return 0;
}

Address Address::with_port(std::uint16_t port) const noexcept {
    Address result = *this;
    if (family() == AF_INET) v4_of(result.storage_).sin_port = htons(port);
    if (family() == AF_INET6) v6_of(result.storage_).sin6_port = htons(port);
    return result;
}

std::string Address::ip_text() const {
    char text[INET6_ADDRSTRLEN] = {};
    if (family() == AF_INET) ::inet_ntop(AF_INET, &v4_of(storage_).sin_addr, text, sizeof text);
    if (family() == AF_INET6) ::inet_ntop(AF_INET6, &v6_of(storage_).sin6_addr, text, sizeof text);
    return text;
}

std::string Address::text() const {
    if (family() == AF_INET6) return fmt::format("[{}]:{}", ip_text(), port());
    return fmt::format("{}:{}", ip_text(), port());
}

bool Address::is_loopback() const noexcept {
    if (family() == AF_INET) return v4_bytes(storage_)[0] == 127;
    if (family() != AF_INET6) return false;
    auto bytes = v6_bytes(storage_);
    if (shares_prefix(bytes, mapped_v4.prefix, mapped_v4.bits)) return bytes[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6_of(storage_).sin6_addr);
}

bool Address::is_private() const noexcept {
    if (family() == AF_INET) return is_private_v4(v4_bytes(storage_));
    if (family() == AF_INET6) return is_private_v6(v6_bytes(storage_));
    return true;
}

bool operator==(const Address& a, const Address& b) noexcept {
    if (a.family() != b.family() || a.port() != b.port()) return false;
    if (a.family() == AF_INET) return v4_bytes(a.storage_) == v4_bytes(b.storage_);
    if (a.family() != AF_INET6) return true;
    return v6_bytes(a.storage_) == v6_bytes(b.storage_) && v6_of(a.storage_).sin6_scope_id == v6_of(b.storage_).sin6_scope_id;
}

}  // namespace entrepot
