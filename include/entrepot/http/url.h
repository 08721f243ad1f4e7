#pragma once
// http and https URLs: endpoints, token realms, redirects. Strict on purpose, since a URL decides where bytes and
// credentials go: no user information, no other scheme, no control or non-ASCII bytes, no doubtful hosts. Whether a host
// may be contacted (private addresses, numbers like 0x7f000001) is policy and decided where names are resolved.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace entrepot {

constexpr std::size_t url_bytes_max = 8 * 1024;

/// Where a request goes, and the unit of trust for credentials: equal only if scheme, host and port are.
struct Origin {
    std::string scheme;      ///< "http" or "https"
    std::string host;        ///< lower case, no trailing dot; an IPv6 address without brackets, in canonical form
    std::uint16_t port = 0;  ///< never 0 in a parsed one

    bool is_tls() const noexcept { return scheme == "https"; }
    bool is_default_port() const noexcept { return port == (is_tls() ? 443 : 80); }
    /// What belongs in a Host field: host, brackets if it is IPv6, and the port unless it is the scheme's own.
    std::string authority() const;
    /// "https://authority".
    std::string text() const;

    friend bool operator==(const Origin&, const Origin&) = default;
};

struct Url {
    Origin origin;
    std::string path = "/";  ///< begins with '/', percent-encoding as given
    std::string query;       ///< without '?'

    /// What belongs in the request line: path, and '?' with the query if that is not empty.
    std::string target() const;
    std::string text() const;

    friend bool operator==(const Url&, const Url&) = default;
};

/// An absolute URL. nullopt for anything that is not exactly one: relative, other scheme, user information, fragment,
/// port 0 or past 65535, longer than url_bytes_max.
std::optional<Url> parse_url(std::string_view text);

/// Where a Location (absolute, "//host/...", "/...", "?...", relative with dot segments) leads from `base`, RFC 3986
/// section 5.2. A fragment is dropped. nullopt where parse_url would refuse.
std::optional<Url> resolve(const Url& base, std::string_view location);

/// "host" or "host:port" or "[v6]:port", strictly; the port defaults to the scheme's. For configuration and `ns`.
std::optional<Origin> parse_authority(std::string_view scheme, std::string_view authority);

/// Is it a syntactically valid "host" or "host:port" of at most 255 bytes? (The grammar of Host, without allocation.)
bool is_valid_authority(std::string_view authority) noexcept;

/// `text` with everything but RFC 3986's unreserved characters percent-encoded.
std::string percent_encode(std::string_view text);

/// Replaces escapes; '+' stays. nullopt on a malformed escape.
std::optional<std::string> percent_decode(std::string_view text);

/// The same without allocation: returns `text` itself if it holds no escape, else its decoded form in `buffer`.
/// nullopt on a malformed escape or when the buffer is too small.
std::optional<std::string_view> percent_decode(std::string_view text, std::span<char> buffer) noexcept;

/// The still encoded value of the first parameter of that name ("ns" in "a=1&ns=docker.io"); names are compared as
/// written. nullopt when there is none, empty when it has no value.
std::optional<std::string_view> find_query(std::string_view query, std::string_view name) noexcept;

/// `query` with "name=value" appended, both encoded.
std::string add_query(std::string_view query, std::string_view name, std::string_view value);

/// `query` without the parameters of that name (compared as written), and with "name=value" appended.
std::string set_query(std::string_view query, std::string_view name, std::string_view value);

}  // namespace entrepot
