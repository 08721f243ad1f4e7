#pragma once
// The error answers of the distribution spec: `{"errors":[{"code","message","detail"}]}`. Clients print code and message to
// people, so the message should say which rule, source and status were involved (docker cannot parse anything but JSON here).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot {

/// The codes of the spec, then those that the reference implementation adds and clients know.
enum class OciCode : std::uint8_t {
    blob_unknown,
    blob_upload_invalid,
    blob_upload_unknown,
    digest_invalid,
    manifest_blob_unknown,
    manifest_invalid,
    manifest_unknown,
    name_invalid,
    name_unknown,
    size_invalid,
    unauthorized,
    denied,
    unsupported,
    too_many_requests,
    // beyond the spec
    pagination_number_invalid,
    range_invalid,
    unavailable,
    unknown,
};
constexpr std::size_t oci_code_count = static_cast<std::size_t>(OciCode::unknown) + 1;

/// "BLOB_UNKNOWN" and so on, as it stands in the body.
std::string_view name_of(OciCode code) noexcept;

/// The HTTP status that goes with the code unless the caller knows better.
int default_status(OciCode code) noexcept;

/// Longer messages and details are cut to this many bytes (before escaping), so that no peer's text grows our answers.
constexpr std::size_t error_text_bytes_max = 1024;

/// The JSON body. `message` and `detail` may hold anything: quotes, control bytes, broken UTF-8 and markup are escaped, and
/// the result is pure ASCII. An empty `detail` leaves the member out.
std::string error_body(OciCode code, std::string_view message, std::string_view detail = {});

}  // namespace entrepot
