#pragma once
// Base64 in the forms that this module reads and writes, by libsodium: in constant time, and strict (no other spelling of the same bytes is read).

#include "entrepot/base/bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

/// RFC 4648 section 4, without padding.
std::string base64_text(Bytes bytes);
/// RFC 4648 section 5, without padding.
std::string base64url_text(Bytes bytes);
std::optional<std::string> parse_base64url(std::string_view text);
/// RFC 4648 section 4 with padding, as Basic credentials come; an absent padding is forgiven.
std::optional<std::string> parse_base64(std::string_view text);

}  // namespace entrepot
