#pragma once
// Base64 (RFC 4648 section 4), encoding only: for Basic authentication.

#include <string>
#include <string_view>

namespace entrepot {

std::string base64(std::string_view bytes);

}  // namespace entrepot
