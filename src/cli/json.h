#pragma once
// The server's documents. Members keep the order in which the server wrote them. A member that is missing or of another type reads
// as empty: a newer or older server must not end a command that does not need it.

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace entrepot::cli {

using Json = nlohmann::ordered_json;

/// What a document may nest; ours have 5.
constexpr int json_depth_max = 64;

/// nullopt for what is no JSON, or nests deeper than json_depth_max.
std::optional<Json> parse_json(std::string_view text);

/// Indented, in ASCII only: nothing in it can drive a terminal.
std::string shown_json(const Json& document);

/// "" when `member` is absent, null, or no text.
std::string text_at(const Json& object, std::string_view member);
/// Null when absent.
const Json& at(const Json& object, std::string_view member);
/// The texts of a list, with `separator` between them.
std::string joined_at(const Json& object, std::string_view member, std::string_view separator = ", ");
/// "7" of a number, "yes" and "no" of a boolean, a text as it is; "" of all else.
std::string scalar_text(const Json& value);

}  // namespace entrepot::cli
