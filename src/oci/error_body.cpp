#include "entrepot/oci/error_body.h"

#include "entrepot/base/assert.h"

#include "oci/json_text.h"

#include <array>

namespace entrepot {

namespace {

struct CodeFacts {
    OciCode code;
    std::string_view name;
    int status;
};

// In the order of the enumeration, which a test holds it to.
constexpr std::array<CodeFacts, oci_code_count> code_facts{{
    {OciCode::blob_unknown, "BLOB_UNKNOWN", 404},
    {OciCode::blob_upload_invalid, "BLOB_UPLOAD_INVALID", 400},
    {OciCode::blob_upload_unknown, "BLOB_UPLOAD_UNKNOWN", 404},
    {OciCode::digest_invalid, "DIGEST_INVALID", 400},
    {OciCode::manifest_blob_unknown, "MANIFEST_BLOB_UNKNOWN", 404},
    {OciCode::manifest_invalid, "MANIFEST_INVALID", 400},
    {OciCode::manifest_unknown, "MANIFEST_UNKNOWN", 404},
    {OciCode::name_invalid, "NAME_INVALID", 400},
    {OciCode::name_unknown, "NAME_UNKNOWN", 404},
    {OciCode::size_invalid, "SIZE_INVALID", 400},
    {OciCode::unauthorized, "UNAUTHORIZED", 401},
    {OciCode::denied, "DENIED", 403},
    {OciCode::unsupported, "UNSUPPORTED", 405},
    {OciCode::too_many_requests, "TOOMANYREQUESTS", 429},
    {OciCode::pagination_number_invalid, "PAGINATION_NUMBER_INVALID", 400},
    {OciCode::range_invalid, "RANGE_INVALID", 416},
    {OciCode::unavailable, "UNAVAILABLE", 503},
    {OciCode::unknown, "UNKNOWN", 500},
}};

const CodeFacts& facts_of(OciCode code) noexcept {
    const auto& facts = code_facts[static_cast<std::size_t>(code)];
    ASSERT(facts.code == code);
    return facts;
}

// Cut where a character starts, so that the end does not turn into a replacement character.
std::string_view cut(std::string_view text) noexcept {
    if (text.size() <= error_text_bytes_max) return text;
    std::size_t end = error_text_bytes_max;
    while (end > error_text_bytes_max - 4 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return text.substr(0, end);
}

}  // namespace

std::string_view name_of(OciCode code) noexcept { return facts_of(code).name; }

int default_status(OciCode code) noexcept { return facts_of(code).status; }

std::string error_body(OciCode code, std::string_view message, std::string_view detail) {
    std::string body;
    body.reserve(128);
    body.append("{\"errors\":[{\"code\":");
    append_plain_json_string(body, name_of(code));
    body.append(",\"message\":");
    append_json_string(body, cut(message));
    if (!detail.empty()) {
        body.append(",\"detail\":");
        append_json_string(body, cut(detail));
    }
    body.append("}]}");
    return body;
}

}  // namespace entrepot
