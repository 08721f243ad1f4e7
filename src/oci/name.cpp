#include "entrepot/oci/name.h"

#include <array>
#include <cstdint>

namespace entrepot {

namespace {

enum Class : std::uint8_t { other = 0, alphanumeric = 1, dot = 2, underscore = 4, dash = 8, slash = 16, upper = 32 };

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> classes{};
    for (char letter = 'a'; letter <= 'z'; ++letter) classes[static_cast<std::uint8_t>(letter)] = alphanumeric;
    for (char letter = 'A'; letter <= 'Z'; ++letter) classes[static_cast<std::uint8_t>(letter)] = upper;
    for (char digit = '0'; digit <= '9'; ++digit) classes[static_cast<std::uint8_t>(digit)] = alphanumeric;
    classes['.'] = dot;
    classes['_'] = underscore;
    classes['-'] = dash;
    classes['/'] = slash;
    return classes;
}
constexpr auto classes = make_classes();

std::uint8_t class_of(char character) noexcept { return classes[static_cast<std::uint8_t>(character)]; }

// Where an alphanumeric run stopped at `text[at]`: the length of the separator there, 0 when it is none of `.`, `_`, `__`, a
// run of `-`, or `/`. What follows must be alphanumeric again; the caller's next turn sees to that.
std::size_t separator_length(std::string_view text, std::size_t at) noexcept {
    switch (class_of(text[at])) {
        case dot:
        case slash: return 1;
        case underscore: return at + 1 < text.size() && text[at + 1] == '_' ? 2 : 1;
        case dash: {
            std::size_t length = 1;
            while (at + length < text.size() && text[at + length] == '-') ++length;
            return length;
        }
        default: return 0;
    }
}

bool is_label(std::string_view label) noexcept {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    for (const char character : label) {
        if (!(class_of(character) & (alphanumeric | dash))) return false;
    }
    return true;
}

bool is_host_name(std::string_view host) noexcept {
    if (host.empty() || host.size() > 253) return false;
    for (std::size_t start = 0; start <= host.size();) {
        std::size_t end = host.find('.', start);
        if (end == std::string_view::npos) end = host.size();
        if (!is_label(host.substr(start, end - start))) return false;
        start = end + 1;
    }
    return true;
}

// The characters of an IPv6 literal, at least two colons, and no more than its longest form. Whether it is an address is for the
// resolver to say; here it only has to be harmless text.
bool is_bracketed_address(std::string_view host) noexcept {
    if (host.size() < 4 || host.size() > 47 || host.front() != '[' || host.back() != ']') return false;
    std::size_t colons = 0;
    for (const char character : host.substr(1, host.size() - 2)) {
        const bool hex = (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
        if (!hex && character != ':' && character != '.') return false;
        colons += character == ':';
    }
    return colons >= 2;
}

bool is_port(std::string_view port) noexcept {
    if (port.empty() || port.size() > 5 || port.front() == '0') return false;
    unsigned value = 0;
    for (const char digit : port) {
        if (digit < '0' || digit > '9') return false;
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    return value <= 65535;
}

}  // namespace

bool is_repository(std::string_view text) noexcept {
    if (text.empty() || text.size() > repository_bytes_max) return false;
    std::size_t at = 0;
    while (true) {
        const std::size_t start = at;
        while (at < text.size() && class_of(text[at]) == alphanumeric) ++at;
        if (at == start) return false;  // a component or a part of it starts, or the name ends, with a separator
        if (at == text.size()) return true;
        const std::size_t length = separator_length(text, at);
        if (length == 0) return false;
        at += length;
    }
}

bool is_tag(std::string_view text) noexcept {
    if (text.empty() || text.size() > tag_bytes_max) return false;
    if (!(class_of(text.front()) & (alphanumeric | upper | underscore))) return false;
    for (const char character : text.substr(1)) {
        if (!(class_of(character) & (alphanumeric | upper | underscore | dot | dash))) return false;
    }
    return true;
}

bool is_login_server(std::string_view text) noexcept {
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || !is_bracketed_address(text.substr(0, end + 1))) return false;
        const std::string_view rest = text.substr(end + 1);
        return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
    }
    const std::size_t colon = text.find(':');
    if (!is_host_name(text.substr(0, colon))) return false;
    return colon == std::string_view::npos || is_port(text.substr(colon + 1));
}

bool looks_like_login_server(std::string_view first_component) noexcept {
    return first_component == "localhost" || first_component.find_first_of(".:") != std::string_view::npos;
}

}  // namespace entrepot
