#pragma once
// Content negotiation, as much of it as a registry needs: may a client be given this media type? (RFC 9110 section 12.5.1)

#include "entrepot/http/field_lines.h"

#include <string_view>

namespace entrepot {

/// True when the Accept lines admit `media_type` (its parameters, if any, are not compared). No line, or only empty ones, admit
/// everything. The most specific range that matches decides (type/subtype, then type/*, then */*), and q=0 refuses; of two
/// equally specific ones the kinder. Malformed elements are ignored. Linear in the bytes of the lines.
bool accepts(FieldValues accept, std::string_view media_type) noexcept;

}  // namespace entrepot
