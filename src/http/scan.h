#pragma once
// Reading the bytes of HTTP: character classes of RFC 9110 and 3986, the search for the end of a line, blanks, numbers,
// lists. Everything works on views of untrusted bytes and never looks outside them.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace entrepot::scan {

enum CharClass : std::uint8_t {
    token_char = 1,     // RFC 9110 tchar
    target_char = 2,    // RFC 3986 pchar, '/', '?' without '%'
    host_char = 4,      // letters, digits, '-', '.', '_'
    unreserved = 8,     // RFC 3986 unreserved
    token68_char = 16,  // RFC 9110 token68, without the '=' that pad it
};

constexpr bool is_alpha(unsigned char c) noexcept { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
constexpr bool is_digit(unsigned char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_blank(unsigned char c) noexcept { return c == ' ' || c == '\t'; }
constexpr bool is_control(unsigned char c) noexcept { return (c < 0x20 && c != '\t') || c == 0x7f; }
constexpr char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr std::array<std::uint8_t, 256> make_classes() noexcept {
    std::array<std::uint8_t, 256> classes{};
    auto mark = [&](std::string_view chars, std::uint8_t bits) {
        for (char c : chars) classes[static_cast<unsigned char>(c)] |= bits;
    };
    for (unsigned c = 0; c < 256; ++c) {
        if (c < 0x80 && (is_alpha(static_cast<unsigned char>(c)) || is_digit(static_cast<unsigned char>(c))))
            classes[c] = token_char | target_char | host_char | unreserved | token68_char;
    }
    mark("!#$%&'*+-.^_`|~", token_char);
    mark("-._~!$&'()*+,;=:@/?", target_char);
    mark("-._", host_char);
    mark("-._~", unreserved);
    mark("-._~+/", token68_char);
    return classes;
}
inline constexpr std::array<std::uint8_t, 256> classes = make_classes();

constexpr bool is(char c, std::uint8_t wanted) noexcept { return (classes[static_cast<unsigned char>(c)] & wanted) != 0; }

/// How many bytes at the front of `text` belong to the class.
inline std::size_t span_of(std::string_view text, std::uint8_t wanted) noexcept {
    std::size_t at = 0;
    while (at < text.size() && is(text[at], wanted)) ++at;
    return at;
}
inline bool all_of(std::string_view text, std::uint8_t wanted) noexcept { return span_of(text, wanted) == text.size(); }

/// The first control byte other than tab, or `end`. In a proper head that is the CR of the line's end, so one pass both finds
/// the end and validates the line. Sixteen bytes at a time: a head is mostly values that need nothing else.
inline const char* find_control(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
    const __m128i last_control = _mm_set1_epi8(0x1f);
    const __m128i tab = _mm_set1_epi8('\t');
    const __m128i del = _mm_set1_epi8(0x7f);
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
        const __m128i stop = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(stop));
        if (mask != 0) return at + std::countr_zero(mask);
    }
#endif
    while (at != end && !is_control(static_cast<unsigned char>(*at))) ++at;
    return at;
}

inline std::string_view trim(std::string_view text) noexcept {
    while (!text.empty() && is_blank(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && is_blank(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

/// Equal but for the case of ASCII letters; `lower` is in lower case.
inline bool equals_lower(std::string_view text, std::string_view lower) noexcept {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (to_lower(text[i]) != lower[i]) return false;
    return true;
}

/// equals_lower for a field name whose length is known already to be that of the literal and whose bytes are token characters
/// (so that setting bit 5 makes nothing but a letter into a letter, and nothing else into '-'). Compares words, not bytes.
template <std::size_t Size>
inline bool is_name(const char* name, const char (&lower)[Size]) noexcept {
    constexpr std::size_t length = Size - 1;
    auto same_word = [&](auto word, std::size_t at) {
        auto other = word;
        std::memcpy(&word, name + at, sizeof word);
        std::memcpy(&other, lower + at, sizeof other);
        return (word | static_cast<decltype(word)>(0x2020202020202020)) == other;
    };
    if constexpr (length >= 8) {
        for (std::size_t at = 0; at + 8 < length; at += 8)
            if (!same_word(std::uint64_t{}, at)) return false;
        return same_word(std::uint64_t{}, length - 8);
    } else {
        static_assert(length >= 4);
        return same_word(std::uint32_t{}, 0) && same_word(std::uint32_t{}, length - 4);
    }
}

/// 1*DIGIT, of any length.
inline bool is_number(std::string_view text) noexcept {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// 1*DIGIT, all of it; nullopt for anything else and on overflow.
inline std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
    if (text.empty()) return std::nullopt;
    std::uint64_t number = 0;
    for (char c : text) {
        if (!is_digit(static_cast<unsigned char>(c))) return std::nullopt;
        if (__builtin_mul_overflow(number, std::uint64_t{10}, &number)) return std::nullopt;
        if (__builtin_add_overflow(number, static_cast<std::uint64_t>(c - '0'), &number)) return std::nullopt;
    }
    return number;
}

constexpr int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = to_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Takes the next element off a comma-separated list without quoted strings, trimmed; empty ones are passed over
/// (RFC 9110 section 5.6.1.2). False when the list is used up.
inline bool next_element(std::string_view& list, std::string_view& element) noexcept {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        element = trim(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        if (!element.empty()) return true;
    }
    return false;
}

/// Connection's two options that matter to us; all others are ours to ignore (RFC 9110 section 7.6.1).
inline void read_connection(std::string_view value, bool& close, bool& keep_alive) noexcept {
    std::string_view option;
    while (next_element(value, option)) {
        if (equals_lower(option, "close")) close = true;
        else if (equals_lower(option, "keep-alive")) keep_alive = true;
    }
}

}  // namespace entrepot::scan
