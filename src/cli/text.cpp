#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cwchar>
#include <iterator>
#include <utility>

namespace entrepot::cli {
namespace {

struct Character {
    char32_t code = 0;
    std::size_t bytes = 1;
    bool valid = false;
};

/// The first character of a text that is not empty; overlong forms, surrogates and what is past U+10FFFF are not valid.
Character first_character(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
    char32_t code = lead & (0xff >> (bytes + 1));
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3f);
    }
    constexpr std::array<char32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
    const bool valid = code >= least[bytes] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    return valid ? Character{code, bytes, true} : Character{};
}

/// Characters that show nothing of themselves, or turn what stands around them: Unicode's formats, separators and fillers.
bool is_hidden(char32_t code) {
    constexpr std::pair<char32_t, char32_t> ranges[] = {{0x00ad, 0x00ad}, {0x034f, 0x034f},   {0x0600, 0x0605},  {0x061c, 0x061c},
                                                        {0x06dd, 0x06dd}, {0x070f, 0x070f},   {0x115f, 0x1160},  {0x17b4, 0x17b5},
                                                        {0x180b, 0x180f}, {0x200b, 0x200f},   {0x2028, 0x202e},  {0x2060, 0x206f},
                                                        {0x3164, 0x3164}, {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},  {0xffa0, 0xffa0},
                                                        {0xfff0, 0xfffb}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff}};
    return std::any_of(std::begin(ranges), std::end(ranges),
                       [&](auto& range) { return code >= range.first && code <= range.second; });
}

/// Columns of a character, by the C library's tables, which need a locale; -1 for what it does not know.
int columns_of(char32_t code) {
    static const locale_t unicode = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (code < 0x20) return -1;  // wcwidth has 0 for NUL
    if (code < 0x7f) return 1;
    if (unicode == nullptr) return -1;
    const locale_t before = ::uselocale(unicode);
    const int columns = ::wcwidth(static_cast<wchar_t>(code));
    ::uselocale(before);
    return columns;
}

}  // namespace

std::string printable(std::string_view text, bool utf8) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const Character next = first_character(text);
        const bool shown = next.valid && (next.code < 0x80 || utf8) && !is_hidden(next.code) && columns_of(next.code) >= 0;
        if (shown) out += text.substr(0, next.bytes);
        else if (next.valid && next.code >= 0x80 && utf8)
            fmt::format_to(std::back_inserter(out), "\\u{{{:04x}}}", static_cast<unsigned>(next.code));
        else
            for (unsigned char c : text.substr(0, next.bytes)) fmt::format_to(std::back_inserter(out), "\\x{:02x}", c);
        text.remove_prefix(next.bytes);
    }
    return out;
}

std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const Character next = first_character(text);
        width += static_cast<std::size_t>(std::max(columns_of(next.code), 0));
        text.remove_prefix(next.bytes);
    }
    return width;
}

std::string cut_to(std::string_view text, std::size_t width, bool utf8) {
    if (width_of(text) <= width) return std::string(text);
    const std::string_view ellipsis = utf8 ? "\u2026" : "...";
    const std::size_t ellipsis_width = utf8 ? 1 : 3;
    if (width < ellipsis_width) return std::string(width, '.');
    std::size_t bytes = 0, used = 0;
    for (;;) {
        const Character next = first_character(text.substr(bytes));
        used += static_cast<std::size_t>(std::max(columns_of(next.code), 0));
        if (used > width - ellipsis_width) break;
        bytes += next.bytes;
    }
    return fmt::format("{}{}", text.substr(0, bytes), ellipsis);
}

}  // namespace entrepot::cli
