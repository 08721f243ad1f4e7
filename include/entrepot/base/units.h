#pragma once
// Sizes and durations as people write them, for the configuration file and the command line.

#include "entrepot/base/clock.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

/// "512", "64KiB", "10MB", "1.5GiB", "2TB" (KB, MB, ... are powers of 1000; KiB, ... of 1024). Nothing else.
std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

/// "250ms", "60s", "5m", "24h", "7d". A unit is required.
std::optional<Duration> parse_duration(std::string_view text) noexcept;

/// In the largest unit that needs no fraction: "90s", "24h", "250ms", "0s". parse_duration() reads it back exactly, but for what is
/// less than a millisecond.
std::string duration_text(Duration duration);

/// "64.0 MiB": three significant digits, binary units.
std::string size_for_people(std::uint64_t bytes);

}  // namespace entrepot
