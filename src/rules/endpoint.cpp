#include "entrepot/rules/endpoint.h"

#include "entrepot/base/lower_case.h"
#include "entrepot/oci/name.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace entrepot {

namespace {

bool is_private_v4(const std::uint8_t* address) noexcept {
    const unsigned a = address[0], b = address[1];
    return a == 0 || a == 10 || a == 127 || (a == 100 && b >= 64 && b < 128) || (a == 169 && b == 254) ||
           (a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168);
}

bool is_private_v6(const std::array<std::uint8_t, 16>& address) noexcept {
    const bool zeros = std::all_of(address.begin(), address.begin() + 10, [](std::uint8_t byte) { return byte == 0; });
    const bool mapped = zeros && address[10] == 0xff && address[11] == 0xff;
    if (mapped) return is_private_v4(address.data() + 12);
    const bool low = zeros && address[10] == 0 && address[11] == 0;  // ::, ::1, and the deprecated IPv4-compatible ones
    const bool unique_local = (address[0] & 0xfe) == 0xfc, link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
    return low || unique_local || link_local;
}

}  // namespace

std::string Endpoint::url() const {
    const bool v6 = host.find(':') != std::string::npos;
    std::string text = tls ? "https://" : "http://";
    text.append(v6 ? "[" : "").append(host).append(v6 ? "]" : "");
    if (port != (tls ? 443 : 80)) text.append(":").append(std::to_string(port));
    return text;
}

Result<Endpoint, std::string> parse_endpoint(std::string_view url) {
    Endpoint endpoint;
    const std::string text = lower_case(url);  // scheme and host have no case, and nothing else is allowed
    std::string_view authority = text;
    if (authority.starts_with("https://")) {
        authority.remove_prefix(8);
    } else if (authority.starts_with("http://")) {
        authority.remove_prefix(7);
        endpoint.tls = false;
        endpoint.port = 80;
    } else {
        return std::string("is not an http:// or https:// URL");
    }
    if (authority.ends_with('/')) authority.remove_suffix(1);
    if (authority.find('@') != std::string_view::npos)
        return std::string("holds a user name; write a [[credential_set]] instead");
    if (authority.find_first_of("/?#") != std::string_view::npos) return std::string("holds more than scheme, host and port");
    if (!is_login_server(authority)) return std::string("does not name a valid host and port");
    const bool bracketed = authority.starts_with('[');
    const std::size_t host_end = std::min(authority.find(bracketed ? "]" : ":"), authority.size() - bracketed) + bracketed;
    const std::string_view port = authority.substr(std::min(host_end + 1, authority.size()));
    if (!port.empty()) std::from_chars(port.data(), port.data() + port.size(), endpoint.port);  // is_login_server checked it
    endpoint.host = bracketed ? authority.substr(1, host_end - 2) : authority.substr(0, host_end);
    return endpoint;
}

bool is_private_host(std::string_view host) noexcept {
    if (host == "localhost" || host.ends_with(".localhost")) return true;  // RFC 6761, 6.3
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (host.empty() || host.size() >= text.size()) return false;
    std::memcpy(text.data(), host.data(), host.size());
    std::array<std::uint8_t, 16> address{};
    // Not inet_pton: what turns names into addresses takes "127.1" and "0x7f.1" as well.
    if (in_addr v4{}; inet_aton(text.data(), &v4) == 1) {
        std::memcpy(address.data(), &v4, sizeof v4);
        return is_private_v4(address.data());
    }
    return inet_pton(AF_INET6, text.data(), address.data()) == 1 && is_private_v6(address);
}

}  // namespace entrepot
