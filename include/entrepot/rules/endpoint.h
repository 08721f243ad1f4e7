#pragma once
// The origin of an upstream's API or token realm: scheme, host and port, from `https://host[:port]`. Nothing else of a URL is
// accepted, because everything else (user, path, query) would have to be merged into every request.

#include "entrepot/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot {

struct Endpoint {
    bool tls = true;
    std::string host;  ///< lower case; an IPv6 address without its brackets
    std::uint16_t port = 443;

    std::string url() const;  ///< "https://host", with ":port" unless it is the scheme's own
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// The error is a phrase that follows the quoted text: "is no http:// or https:// URL".
Result<Endpoint, std::string> parse_endpoint(std::string_view url);

/// Whether `host` says by itself that it is on this machine or a private network: "localhost", or the literal of a loopback,
/// private, shared (RFC 6598), link-local, unspecified or unique-local address, in every spelling that a resolver takes
/// ("127.1", "0x7f000001"), IPv4 mapped into IPv6 included. Names are
/// judged by their addresses when they are resolved, not here.
bool is_private_host(std::string_view host) noexcept;

}  // namespace entrepot
