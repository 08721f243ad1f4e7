#pragma once
// Dates of HTTP (RFC 9110 section 5.6.7) and Retry-After. Seconds since 1970-01-01 UTC throughout; leap seconds do not exist.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot {

constexpr std::size_t http_date_bytes = 29;  ///< "Sun, 06 Nov 1994 08:49:37 GMT"

/// All three forms that a recipient has to accept: IMF-fixdate, RFC 850 (its two-digit year lies less than 50 years ahead of
/// `now_seconds`), asctime. nullopt for anything else, including a day that its month does not have. The name of the
/// weekday is checked to be one, not to be the right one.
std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now_seconds) noexcept;

/// IMF-fixdate. The years 1970 to 9999; outside, the nearest bound.
std::array<char, http_date_bytes> format_http_date(std::int64_t seconds) noexcept;

/// Retry-After as a wait from now: seconds, or a date (a past one is zero). Negative numbers and junk are nullopt; a wait
/// longer than `max` is `max`.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::int64_t now_seconds,
                                                      std::chrono::seconds max) noexcept;

}  // namespace entrepot
