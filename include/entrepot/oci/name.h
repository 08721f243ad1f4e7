#pragma once
// Names of the distribution spec: repositories, tags, and the login servers that images are addressed by. Every check is a
// hand-written matcher over the exact grammar: linear time, no allocation, nothing repaired. What passes here is safe to
// put into a request line, a header value or a log line, because the grammars admit no control byte, '%', '?' or '..'.

#include <cstddef>
#include <string_view>

namespace entrepot {

/// Docker and containerd refuse longer names, so a registry that served them would serve nobody.
constexpr std::size_t repository_bytes_max = 255;
constexpr std::size_t tag_bytes_max = 128;
/// A DNS name has at most 253 characters; then ":65535".
constexpr std::size_t login_server_bytes_max = 253 + 6;

/// `component('/'component)*` with component `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`; 1 to 255 bytes in all.
bool is_repository(std::string_view text) noexcept;

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
bool is_tag(std::string_view text) noexcept;

/// `host[:port]` in lower case: a DNS name (labels of 1 to 63 of `[a-z0-9-]`, no '-' at their ends), an IPv4 address or an
/// IPv6 address in brackets; port 1 to 65535 without leading zeros. Callers fold to lower case first: host names have no
/// case (RFC 4343), and tables and credentials are keyed by the folded form.
bool is_login_server(std::string_view text) noexcept;

/// Whether the first component of an image name is a host and not a path: it has a '.' or a ':' or is "localhost". This is
/// how every client tells `ghcr.io/owner/app` from `owner/app`.
bool looks_like_login_server(std::string_view first_component) noexcept;

}  // namespace entrepot
