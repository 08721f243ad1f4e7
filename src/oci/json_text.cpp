#include "oci/json_text.h"

#include <cstdint>

namespace entrepot {

namespace {

struct Character {
    std::uint32_t code = 0xfffd;
    std::size_t length = 1;
};

std::uint8_t byte_at(std::string_view text, std::size_t index) noexcept { return static_cast<std::uint8_t>(text[index]); }

// The character at the front of a non-empty text. Overlong forms, surrogates and values past U+10FFFF are not UTF-8 (RFC 3629).
Character first_character(std::string_view text) noexcept {
    const std::uint8_t lead = byte_at(text, 0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
    std::uint32_t code = lead & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        const std::uint8_t next = byte_at(text, i);
        if ((next & 0xc0) != 0x80) return {};
        code = code << 6 | (next & 0x3fu);
    }
    constexpr std::uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < lowest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
    return {code, length};
}

void append_unit(std::string& out, std::uint32_t unit) {
    constexpr char digits[] = "0123456789abcdef";
    const char escape[] = {'\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15], digits[unit >> 4 & 15], digits[unit & 15]};
    out.append(escape, sizeof escape);
}

void append_escaped(std::string& out, std::uint32_t code) {
    if (code == '"' || code == '\\') {
        out.push_back('\\');
        out.push_back(static_cast<char>(code));
    } else if (code >= 0x10000) {
        append_unit(out, 0xd800 + ((code - 0x10000) >> 10));
        append_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
    } else {
        append_unit(out, code);
    }
}

bool is_plain(std::uint32_t code) noexcept {
    return code >= 0x20 && code < 0x7f && code != '"' && code != '\\' && code != '<' && code != '>' && code != '&';
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out.push_back('"');
    while (!text.empty()) {
        const Character character = first_character(text);
        if (is_plain(character.code)) {
            out.push_back(static_cast<char>(character.code));
        } else {
            append_escaped(out, character.code);
        }
        text.remove_prefix(character.length);
    }
    out.push_back('"');
}

void append_plain_json_string(std::string& out, std::string_view plain) {
    out.push_back('"');
    out.append(plain);
    out.push_back('"');
}

void append_json_names(std::string& out, std::span<const std::string_view> names) {
    std::size_t bytes = 2;
    for (const std::string_view name : names) bytes += name.size() + 3;
    out.reserve(out.size() + bytes + 16);
    out.push_back('[');
    for (const std::string_view& name : names) {
        if (&name != &names.front()) out.push_back(',');
        append_plain_json_string(out, name);
    }
    out.push_back(']');
}

}  // namespace entrepot
