#pragma once
// JSON from outside, strictly: one document of valid UTF-8, without comments, byte order mark or trailing bytes, no object with the same name twice, no deeper than
// a bound, no number beyond what a double holds. Reasons name the place and never quote the text: it may hold a password.

#include "entrepot/base/result.h"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace entrepot {

constexpr std::size_t json_depth_max = 32;

/// The error is a phrase: "is not JSON (line 3, column 7)", "has a name twice in one object (line 2, column 9)".
Result<nlohmann::json, std::string> parse_json_strictly(std::string_view text);

/// Compact, ASCII only, and with `<`, `>` and `&` escaped too: nothing in it is markup or drives a terminal. Bytes that are no UTF-8 become U+FFFD.
std::string write_json(const nlohmann::json& document);
std::string write_json(const nlohmann::ordered_json& document);

}  // namespace entrepot
