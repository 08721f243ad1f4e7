#pragma once
// A socket address (IPv4 or IPv6 with port) as a value, its text form, and what kind of network it belongs to.

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

class Address {
  public:
    Address() = default;
    /// "127.0.0.1", "::1", with or without brackets. No names, no octal or hexadecimal forms (those are names to us).
    static std::optional<Address> parse(std::string_view ip, std::uint16_t port) noexcept;
    /// "127.0.0.1:5000", "[::1]:5000", ":5000" or "*:5000" (every IPv4 and IPv6 address).
    static std::optional<Address> parse_with_port(std::string_view text) noexcept;
    static std::optional<Address> from(const sockaddr* address, socklen_t length) noexcept;

    const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t length() const noexcept { return length_; }
    int family() const noexcept { return storage_.ss_family; }
    std::uint16_t port() const noexcept;
    Address with_port(std::uint16_t port) const noexcept;
    std::string text() const;     ///< "127.0.0.1:5000", "[::1]:5000"
    std::string ip_text() const;  ///< without port and brackets

    bool is_loopback() const noexcept;
    /// Loopback, RFC 1918, CGN 100.64/10, link-local, unique local, multicast, unspecified, documentation and reserved ranges, and IPv4-mapped
    /// or NAT64 forms of any of them: everything that is not plain public unicast.
    bool is_private() const noexcept;
    friend bool operator==(const Address& a, const Address& b) noexcept;

  private:
    sockaddr_storage storage_{};
    socklen_t length_ = 0;
};

}  // namespace entrepot
