#include "entrepot/http/url.h"

#include "entrepot/base/assert.h"

#include "http/scan.h"

#include <arpa/inet.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t authority_bytes_max = 255;
constexpr std::size_t name_bytes_max = 253;  // RFC 1035, without the trailing dot
constexpr std::size_t label_bytes_max = 63;

constexpr std::string_view scheme_http = "http";
constexpr std::string_view scheme_https = "https";

struct Authority {
    std::string_view host;   // without brackets
    std::uint16_t port = 0;  // 0: none given
    bool is_v6 = false;
};

// inet_pton accepts neither zones nor brackets nor blanks, and does no look-up.
bool read_v6(std::string_view text, in6_addr& address) noexcept {
    char terminated[INET6_ADDRSTRLEN];
    if (text.empty() || text.size() >= sizeof terminated) return false;
    if (text.find('\0') != std::string_view::npos) return false;
    *std::copy(text.begin(), text.end(), terminated) = '\0';
    return inet_pton(AF_INET6, terminated, &address) == 1;
}

// Letters, digits, '-', '.' and '_' (found in container networks); no empty label but the one a trailing dot makes.
bool is_valid_name(std::string_view name) noexcept {
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty() || name.size() > name_bytes_max) return false;
    std::size_t label_bytes = 0;
    for (char c : name) {
        if (!scan::is(c, scan::host_char)) return false;
        label_bytes = c == '.' ? 0 : label_bytes + 1;
        if (label_bytes > label_bytes_max) return false;
    }
    return name.front() != '.' && !name.ends_with('.') && name.find("..") == std::string_view::npos;
}

// A colon promises a port: "host:" is refused, as are leading signs, zero and numbers past 65535.
std::optional<std::uint16_t> read_port(std::string_view text) noexcept {
    if (text.size() > 5) return std::nullopt;
    const auto number = scan::parse_decimal(text);
    if (!number || *number == 0 || *number > 65535) return std::nullopt;
    return static_cast<std::uint16_t>(*number);
}

std::optional<Authority> read_authority(std::string_view text) noexcept {
    if (text.empty() || text.size() > authority_bytes_max) return std::nullopt;
    Authority authority;
    std::string_view after_host;
    if (text.front() == '[') {
        const std::size_t bracket = text.find(']');
        if (bracket == std::string_view::npos) return std::nullopt;
        in6_addr ignored{};
        authority.host = text.substr(1, bracket - 1);
        authority.is_v6 = true;
        if (!read_v6(authority.host, ignored)) return std::nullopt;
        after_host = text.substr(bracket + 1);
    } else {
        const std::size_t colon = std::min(text.find(':'), text.size());
        authority.host = text.substr(0, colon);
        if (!is_valid_name(authority.host)) return std::nullopt;
        after_host = text.substr(colon);
    }
    if (after_host.empty()) return authority;
    if (after_host.front() != ':') return std::nullopt;
    const auto port = read_port(after_host.substr(1));
    if (!port) return std::nullopt;
    authority.port = *port;
    return authority;
}

// One spelling for one host, so that equality of origins is equality of text.
std::string canonical_host(const Authority& authority) {
    if (authority.is_v6) {
        in6_addr address{};
        char text[INET6_ADDRSTRLEN];
        const bool is_valid = read_v6(authority.host, address);
        ASSERT(is_valid);  // read_authority looked already
        const char* printed = inet_ntop(AF_INET6, &address, text, sizeof text);
        ASSERT(printed != nullptr);
        return printed;
    }
    std::string host(authority.host);
    std::transform(host.begin(), host.end(), host.begin(), scan::to_lower);
    if (host.ends_with('.')) host.pop_back();
    return host;
}

// "https://" and nothing vaguer; returns the scheme in lower case and takes it off `text`.
std::optional<std::string_view> take_scheme(std::string_view& text) noexcept {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || !text.substr(colon + 1).starts_with("//")) return std::nullopt;
    const std::string_view given = text.substr(0, colon);
    text.remove_prefix(colon + 3);
    if (scan::equals_lower(given, scheme_https)) return scheme_https;
    if (scan::equals_lower(given, scheme_http)) return scheme_http;
    return std::nullopt;
}

// RFC 3986 calls for a scheme: letter, then letters, digits, '+', '-', '.'. "foo:bar" is absolute even if we refuse its scheme.
bool has_scheme(std::string_view text) noexcept {
    const std::size_t colon = text.find_first_of(":/?#");
    if (colon == std::string_view::npos || colon == 0 || text[colon] != ':') return false;
    if (!scan::is_alpha(static_cast<unsigned char>(text.front()))) return false;
    return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return scan::is_alpha(byte) || scan::is_digit(byte) || c == '+' || c == '-' || c == '.';
    });
}

// Path and query may hold what some signers leave unescaped ("|", "{}", "^", "`"), but nothing that could end a request line
// or that others read as another character: blanks, control bytes, non-ASCII, quotes, angle brackets, backslash.
bool is_valid_rest(std::string_view rest) noexcept {
    return std::all_of(rest.begin(), rest.end(),
                       [](char c) { return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' && c != '#'; });
}

void set_rest(Url& url, std::string_view path_and_query) {
    const std::size_t question = path_and_query.find('?');
    url.path = path_and_query.substr(0, question);
    if (url.path.empty()) url.path = "/";
    url.query = question == std::string_view::npos ? std::string_view{} : path_and_query.substr(question + 1);
}

// RFC 3986 section 5.2.4. `path` begins with '/', and so does the result. Linear: each segment is appended and removed at
// most once.
std::string remove_dot_segments(std::string_view path) {
    std::string out;
    while (!path.empty()) {
        const std::size_t next = std::min(path.find('/', 1), path.size());
        const std::string_view segment = path.substr(0, next);  // with its leading '/'
        const bool is_last = next == path.size();
        path.remove_prefix(next);
        if (segment == "/.") {
            if (is_last) out += '/';
        } else if (segment == "/..") {
            out.erase(out.empty() ? 0 : out.rfind('/'));
            if (is_last) out += '/';
        } else {
            out += segment;
        }
    }
    return out.empty() ? "/" : out;
}

template <typename Put>
bool decode_into(std::string_view text, Put put) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            if (!put(text[at])) return false;
            continue;
        }
        if (text.size() - at < 3) return false;
        const int high = scan::hex_digit(text[at + 1]);
        const int low = scan::hex_digit(text[at + 2]);
        if (high < 0 || low < 0 || !put(static_cast<char>(high * 16 + low))) return false;
        at += 2;
    }
    return true;
}

// Takes the next "name=value" off a query; false when it is used up.
bool next_parameter(std::string_view& query, std::string_view& parameter) noexcept {
    while (!query.empty()) {
        const std::size_t end = query.find('&');
        parameter = query.substr(0, end);
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
        if (!parameter.empty()) return true;
    }
    return false;
}

std::string_view name_of_parameter(std::string_view parameter) noexcept { return parameter.substr(0, parameter.find('=')); }

}  // namespace

std::string Origin::authority() const {
    const bool is_v6 = host.find(':') != std::string::npos;
    std::string text = is_v6 ? "[" + host + "]" : host;
    if (!is_default_port()) text += ":" + std::to_string(port);
    return text;
}

std::string Origin::text() const { return scheme + "://" + authority(); }

std::string Url::target() const { return query.empty() ? path : path + "?" + query; }

std::string Url::text() const { return origin.text() + target(); }

bool is_valid_authority(std::string_view authority) noexcept { return read_authority(authority).has_value(); }

std::optional<Origin> parse_authority(std::string_view scheme, std::string_view authority) {
    ASSERT(scheme == scheme_http || scheme == scheme_https);
    const auto parts = read_authority(authority);
    if (!parts) return std::nullopt;
    const std::uint16_t default_port = scheme == scheme_https ? 443 : 80;
    const std::uint16_t port = parts->port != 0 ? parts->port : default_port;
    return Origin{.scheme = std::string(scheme), .host = canonical_host(*parts), .port = port};
}

std::optional<Url> parse_url(std::string_view text) {
    if (text.size() > url_bytes_max) return std::nullopt;
    const auto scheme = take_scheme(text);
    if (!scheme) return std::nullopt;
    const std::size_t authority_end = std::min(text.find_first_of("/?#\\"), text.size());
    auto origin = parse_authority(*scheme, text.substr(0, authority_end));
    const std::string_view rest = text.substr(authority_end);
    if (!origin || !is_valid_rest(rest)) return std::nullopt;
    Url url{.origin = std::move(*origin)};
    set_rest(url, rest);
    return url;
}

std::optional<Url> resolve(const Url& base, std::string_view location) {
    if (location.size() > url_bytes_max) return std::nullopt;
    location = location.substr(0, location.find('#'));
    if (has_scheme(location)) return parse_url(location);
    if (location.starts_with("//")) return parse_url(base.origin.scheme + ":" + std::string(location));
    if (!is_valid_rest(location)) return std::nullopt;

    Url url{.origin = base.origin, .path = base.path, .query = base.query};
    if (location.empty()) return url;
    if (location.front() == '?') {
        url.query = location.substr(1);
    } else {
        // A relative path replaces what follows the last '/' of the base (section 5.2.3).
        std::string merged(location.front() == '/' ? "" : base.path.substr(0, base.path.rfind('/') + 1));
        set_rest(url, merged += location);
        url.path = remove_dot_segments(url.path);
    }
    if (url.path.size() + url.query.size() > url_bytes_max) return std::nullopt;
    return url;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    for (char c : text) {
        if (scan::is(c, scan::unreserved)) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += digits[byte >> 4];
            out += digits[byte & 15];
        }
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    if (!decode_into(text, [&](char c) {
            out += c;
            return true;
        }))
        return std::nullopt;
    return out;
}

std::optional<std::string_view> percent_decode(std::string_view text, std::span<char> buffer) noexcept {
    if (text.find('%') == std::string_view::npos) return text;
    std::size_t used = 0;
    const bool decoded = decode_into(text, [&](char c) {
        if (used == buffer.size()) return false;
        buffer[used++] = c;
        return true;
    });
    if (!decoded) return std::nullopt;
    return std::string_view(buffer.data(), used);
}

std::optional<std::string_view> find_query(std::string_view query, std::string_view name) noexcept {
    std::string_view parameter;
    while (next_parameter(query, parameter)) {
        if (name_of_parameter(parameter) != name) continue;
        return parameter.substr(std::min(name.size() + 1, parameter.size()));
    }
    return std::nullopt;
}

std::string add_query(std::string_view query, std::string_view name, std::string_view value) {
    std::string out(query);
    if (!out.empty() && !out.ends_with('&')) out += '&';
    out += percent_encode(name);
    out += '=';
    out += percent_encode(value);
    return out;
}

std::string set_query(std::string_view query, std::string_view name, std::string_view value) {
    std::string kept;
    std::string_view parameter;
    while (next_parameter(query, parameter)) {
        if (name_of_parameter(parameter) == name) continue;
        if (!kept.empty()) kept += '&';
        kept += parameter;
    }
    return add_query(kept, name, value);
}

}  // namespace entrepot
