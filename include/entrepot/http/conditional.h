#pragma once
// If-None-Match (RFC 9110 section 13.1.2) against the one entity tag that a digest gives.

#include "entrepot/http/field_lines.h"

#include <string_view>

namespace entrepot {

/// True when a GET or HEAD is to be answered 304: some listed tag equals `etag` (quoted, e.g. "\"sha256:...\"") by weak
/// comparison, or the field is "*". A malformed rest of a line is ignored. Linear in the bytes of the lines.
bool if_none_match_hits(FieldValues if_none_match, std::string_view etag) noexcept;

}  // namespace entrepot
