#pragma once
// The head of an upstream's HTTP/1.x response, parsed strictly and in place. Interim (1xx) responses are reported like
// any other; the caller reads on. Fields that nobody asks for (Set-Cookie above all) are validated and forgotten.
//
// All views point into the buffer that was parsed and live as long as its bytes stay where they are.

#include "entrepot/http/field_lines.h"
#include "entrepot/http/parse_result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot {

// Bounds; past each the head is an error (the client then sees 502). A head exactly at a bound is accepted.
constexpr std::size_t response_head_bytes_max = 64 * 1024;
constexpr std::size_t response_fields_max = 200;
constexpr std::size_t response_challenge_lines_max = 16;  ///< further WWW-Authenticate lines are ignored
constexpr std::size_t response_link_lines_max = 4;        ///< further Link lines are ignored

struct ResponseHead {
    std::uint16_t status = 0;        ///< 100..599
    std::uint8_t version_minor = 1;  ///< HTTP/1.0 or HTTP/1.1
    bool chunked = false;
    bool connection_close = false;
    bool connection_keep_alive = false;
    std::optional<std::uint64_t> content_length;

    // Empty when absent. Of a field that may stand once only, the first line counts, but two different Location,
    // Content-Range, Content-Encoding, Content-Type or Docker-Content-Digest lines make the head an error.
    std::string_view content_type;
    std::string_view location;
    std::string_view docker_content_digest;
    std::string_view etag;
    std::string_view accept_ranges;
    std::string_view content_range;
    std::string_view content_encoding;
    std::string_view retry_after;
    std::string_view ratelimit_limit;
    std::string_view ratelimit_remaining;
    std::string_view oci_filters_applied;
    std::string_view date;
    FieldLines<response_challenge_lines_max> www_authenticate;
    FieldLines<response_link_lines_max> link;

    /// Back to the state of a fresh object, cheaper than making one.
    void clear() noexcept;
};

/// Parses a head that arrives in pieces; see RequestHeadParser for the rules of use.
/// Never yields `tls_hello`; `status` of the result stays 0.
class ResponseHeadParser {
  public:
    ParseResult parse(std::string_view bytes, ResponseHead& out) noexcept;
    void reset() noexcept { *this = ResponseHeadParser{}; }

  private:
    // Each function answers false when the head is no good.
    bool parse_lines(ResponseHead& out, const char* limit) noexcept;
    bool parse_field(std::string_view line, ResponseHead& out) noexcept;
    bool use_field(std::string_view name, std::string_view value, ResponseHead& out) noexcept;
    bool use_content_length(std::string_view value, ResponseHead& out) noexcept;
    bool use_transfer_encoding(std::string_view value, ResponseHead& out) noexcept;

    const char* bytes_ = nullptr;  // where the head began in the last call
    std::uint32_t line_at_ = 0;    // start of the first unfinished line; all before it is parsed
    std::uint32_t scanned_ = 0;    // that line holds no control byte before this offset
    std::uint8_t fields_ = 0;
    bool has_status_line_ = false;
    bool has_transfer_encoding_ = false;
    bool done_ = false;
};

/// The same for a head that is expected to be there as a whole.
ParseResult parse_response_head(std::string_view bytes, ResponseHead& out) noexcept;

/// How the end of the body is found.
struct BodyFraming {
    enum class Kind : std::uint8_t { none, length, chunked, until_close };
    Kind kind = Kind::none;
    std::uint64_t length = 0;  ///< with `length`

    friend bool operator==(const BodyFraming&, const BodyFraming&) = default;
};

/// RFC 9112 section 6.3. (Contradictory lengths never get here: they make the head an error.)
BodyFraming body_framing(const ResponseHead& head, bool request_was_head) noexcept;

/// May the connection carry another request once this body was read to its end?
bool keeps_alive(const ResponseHead& head, BodyFraming framing) noexcept;

}  // namespace entrepot
