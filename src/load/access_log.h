#pragma once
// What a registry was asked in the past, from its access log. Two formats, told apart by the first character:
//   JSON: an array of records, or one record a line. Keys are those of the IBM Cloud registry trace (2017): "timestamp"
//     (ISO 8601, UTC), "http.request.method", "http.request.uri" (with or without '/' in front), "http.response.status"; others
//     are passed over.
//   Text: the common or combined log format of nginx, Apache and docker-registry.
// Only GET and HEAD are played again; everything else is counted as passed over. Reading is pure; files are read elsewhere.

#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::load {

constexpr std::size_t log_requests_max = 10'000'000;

struct LoggedRequest {
    Duration at{0};            ///< since the first request of the log
    std::uint32_t object = 0;  ///< index of its path in AccessLog::paths
    std::uint16_t status = 0;  ///< what was answered then; 0 unknown
    bool head = false;
};

struct AccessLog {
    std::vector<LoggedRequest> requests;  ///< in order of time
    std::vector<std::string> paths;       ///< distinct paths with their query, in order of first appearance; each begins with '/'
    std::size_t passed_over = 0;          ///< other methods
};

/// `name` is for messages: "NAME:12: ...", where 12 is the line, or the record of a JSON array.
Result<AccessLog, std::string> parse_access_log(std::string_view text, std::string_view name);

/// "2017-06-20T05:29:26.214Z" as nanoseconds since 1970, or nothing.
std::optional<std::int64_t> parse_timestamp(std::string_view text) noexcept;

}  // namespace entrepot::load
