#pragma once
// The grammar of media types; comparing them is promised in entrepot/oci/manifest.h.

#include <string_view>

namespace entrepot {

/// `type/subtype` of RFC 6838 without parameters, at most 255 bytes: harmless in a header.
bool is_media_type(std::string_view text) noexcept;

}  // namespace entrepot
