#include "entrepot/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace entrepot {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array<Unit, 10> size_units{{
    {"KB", 1'000},
    {"MB", 1'000'000},
    {"GB", 1'000'000'000},
    {"TB", 1'000'000'000'000},
    {"PB", 1'000'000'000'000'000},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
    {"PiB", 1ull << 50},
}};

constexpr std::array<Unit, 5> duration_units{{
    {"ms", 1'000'000},
    {"s", 1'000'000'000},
    {"m", 60'000'000'000},
    {"h", 3'600'000'000'000},
    {"d", 86'400'000'000'000},
}};

template <std::size_t count>
std::optional<std::uint64_t> factor_of(const std::array<Unit, count>& units, std::string_view name) noexcept {
    for (const Unit& unit : units)
        if (unit.name == name) return unit.factor;
    return std::nullopt;
}

// The decimal digits at the front of `text`, which they are removed from. None, or more than 64 bits hold, is nullopt.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return number;
}

std::optional<std::uint64_t> checked_product(std::uint64_t count, std::uint64_t factor) noexcept {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(count, factor, &product) ? std::nullopt : std::optional(product);
}

__extension__ using Wide = unsigned __int128;

struct Fraction {
    std::uint64_t numerator = 0;
    std::uint64_t denominator = 1;
};

// What follows a decimal point: one to nine digits.
std::optional<Fraction> take_fraction(std::string_view& text) noexcept {
    constexpr std::size_t digits_max = 9;
    const std::size_t before = text.size();
    const auto numerator = take_number(text);
    const std::size_t digits = before - text.size();
    if (!numerator || digits > digits_max) return std::nullopt;
    Fraction fraction{*numerator, 1};
    for (std::size_t i = 0; i < digits; ++i) fraction.denominator *= 10;
    return fraction;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
    const auto whole = take_number(text);
    if (!whole) return std::nullopt;
    if (text.empty()) return whole;

    Fraction fraction;
    if (text.front() == '.') {
        text.remove_prefix(1);
        const auto taken = take_fraction(text);
        if (!taken) return std::nullopt;
        fraction = *taken;
    }
    const auto factor = factor_of(size_units, text);
    if (!factor) return std::nullopt;
    const auto bytes = checked_product(*whole, *factor);
    if (!bytes) return std::nullopt;
    // 128 bits hold a nine-digit numerator times a pebibyte; the quotient is below one unit.
    const auto rest = static_cast<std::uint64_t>(Wide{fraction.numerator} * *factor / fraction.denominator);
    std::uint64_t sum = 0;
    return __builtin_add_overflow(*bytes, rest, &sum) ? std::nullopt : std::optional(sum);
}

std::optional<Duration> parse_duration(std::string_view text) noexcept {
    const auto count = take_number(text);
    if (!count) return std::nullopt;
    const auto factor = factor_of(duration_units, text);
    if (!factor) return std::nullopt;
    const auto ns = checked_product(*count, *factor);
    if (!ns || *ns > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
    return Duration(static_cast<std::int64_t>(*ns));
}

std::string duration_text(Duration duration) {
    const auto count = static_cast<std::uint64_t>(duration.count()) / 1'000'000;
    constexpr std::array<std::pair<std::uint64_t, std::string_view>, 4> units{
        {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}}};
    // A minute is written "60s", a day "24h": a unit is used from two of it on.
    for (const auto& [length, unit] : units) {
        if (count % length == 0 && (count >= 2 * length || length == 1000)) return fmt::format("{}{}", count / length, unit);
    }
    return fmt::format("{}ms", count);
}

std::string size_for_people(std::uint64_t bytes) {
    constexpr std::uint64_t kibi = 1024;
    if (bytes < kibi) return fmt::format("{} B", bytes);
    constexpr std::array<std::string_view, 6> names{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    double value = static_cast<double>(bytes) / kibi;
    // From 1023.5 on, three digits would read "1024"; the next unit's "1.00" says the same.
    for (; value >= 1023.5 && unit + 1 < names.size(); ++unit) value /= kibi;
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", value, decimals, names[unit]);
}

}  // namespace entrepot
