#pragma once
// How a rule's durations are written, wherever people read or write them: the configuration file, the API, the command line.

#include "entrepot/rules/cache_rule.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

/// One member of StalePolicy with its names.
struct StaleClass {
    std::string_view key;       ///< in the configuration file: "server_error"
    std::string_view json_key;  ///< in the API: "serverError"
    Duration StalePolicy::*duration;
};
constexpr std::array<StaleClass, 5> stale_classes{{{"network", "network", &StalePolicy::network},
                                                   {"server_error", "serverError", &StalePolicy::server_error},
                                                   {"rate_limit", "rateLimit", &StalePolicy::rate_limit},
                                                   {"denied", "denied", &StalePolicy::denied},
                                                   {"missing", "missing", &StalePolicy::missing}}};

/// "never", "forever", or a duration.
std::optional<Duration> parse_stale_duration(std::string_view text) noexcept;
std::string stale_duration_text(Duration duration);

}  // namespace entrepot
