#pragma once
// The head of an HTTP/1.x request, parsed strictly and in place: no allocation, no copying, one pass. Strict means that
// whatever two parsers could read differently is refused (bare LF, folded lines, two lengths, length and chunks
// together, ...; RFC 9112 sections 2.2, 3.2, 5 and 6), so nothing can be smuggled past us. Fields that no handler asks
// for are validated and forgotten; nothing of a client's head is ever forwarded.
//
// All views point into the buffer that was parsed and live as long as its bytes stay where they are.

#include "entrepot/http/field_lines.h"
#include "entrepot/http/method.h"
#include "entrepot/http/parse_result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot {

// Bounds, and the status at each. A head exactly at a bound is accepted.
constexpr std::size_t request_head_bytes_max = 32 * 1024;   ///< everything up to and with the empty line: 431
constexpr std::size_t request_field_bytes_max = 16 * 1024;  ///< one header line without its CRLF: 431
constexpr std::size_t request_fields_max = 100;             ///< header lines: 431
constexpr std::size_t request_target_bytes_max = 8 * 1024;  ///< 414
constexpr std::size_t request_method_bytes_max = 32;        ///< 400
constexpr std::size_t request_host_bytes_max = 255;         ///< 400
constexpr std::size_t request_empty_lines_max = 2;          ///< CRLFs before the request line: 400
constexpr std::size_t request_accept_lines_max = 16;        ///< Accept lines: 431
constexpr std::size_t request_if_none_match_lines_max = 8;  ///< If-None-Match lines: 431
constexpr std::size_t request_if_match_lines_max =
    2;  ///< If-Match lines: further ones are forgotten, as one too many is enough to refuse

struct RequestHead {
    Method method = Method::get;
    std::uint8_t version_minor = 1;  ///< HTTP/1.0 or HTTP/1.1
    bool chunked = false;            ///< Transfer-Encoding: chunked
    bool expect_continue = false;    ///< Expect: 100-continue, from a 1.1 client
    bool connection_close = false;
    bool connection_keep_alive = false;
    std::optional<std::uint64_t> content_length;

    std::string_view target;  ///< as sent: origin form, or absolute form with http(s)://
    /// Begins with '/'; still percent-encoded, every escape well formed and none a control byte. A constant "/", and no part of the target, when that is
    /// absolute and has no path.
    std::string_view path;
    std::string_view query;  ///< without '?', may be empty; same promise

    /// "name" or "name:port" as sent, valid. From the target if that was absolute (RFC 9112 section 3.2.2). Empty only
    /// in HTTP/1.0 requests without Host.
    std::string_view host;

    // Empty when absent. Values come without surrounding blanks and without control bytes other than tab.
    std::string_view range;
    std::string_view if_range;
    std::string_view authorization;
    std::string_view user_agent;
    std::string_view content_type;
    std::string_view origin;          ///< for the admin listener's cross-site checks
    std::string_view sec_fetch_site;  ///< same
    FieldLines<request_accept_lines_max> accept;
    FieldLines<request_if_none_match_lines_max> if_none_match;
    FieldLines<request_if_match_lines_max> if_match;  ///< for the admin listener's changes

    /// Back to the state of a fresh object, cheaper than making one.
    void clear() noexcept;
};

/// May the connection carry another request after this one? (RFC 9112 section 9.3)
constexpr bool keeps_alive(const RequestHead& head) noexcept {
    if (head.connection_close) return false;
    return head.version_minor >= 1 || head.connection_keep_alive;
}

/// Does a body follow the head? (A length of zero is no body.)
constexpr bool has_body(const RequestHead& head) noexcept { return head.chunked || head.content_length.value_or(0) > 0; }

/// Parses a head that arrives in pieces. Each call gets all bytes received since the head began, at the same address
/// if possible: then each byte is looked at a bounded number of times, so a head sent byte by byte costs linear time.
/// When the bytes have moved, parsing begins anew (so move them rarely). `out` is the same object in all calls and is
/// meaningful only after `complete`. After any outcome but `incomplete` the parser is ready for the next head.
class RequestHeadParser {
  public:
    ParseResult parse(std::string_view bytes, RequestHead& out) noexcept;

    /// Forgets a head that was not finished.
    void reset() noexcept { *this = RequestHeadParser{}; }

  private:
    enum class Stage : std::uint8_t { begin, request_line, fields };

    // Each function answers the status of a refusal, or 0.
    std::uint16_t parse_lines(RequestHead& out, const char* limit) noexcept;
    std::uint16_t refuse_unfinished(const char* line, const char* end) const noexcept;
    std::uint16_t parse_request_line(const char* begin, const char* end, RequestHead& out) noexcept;
    std::uint16_t parse_field(const char* begin, const char* end, RequestHead& out) noexcept;
    std::uint16_t use_field(std::string_view name, std::string_view value, RequestHead& out) noexcept;
    std::uint16_t use_host(std::string_view value, RequestHead& out) noexcept;
    std::uint16_t use_expect(std::string_view value, RequestHead& out) noexcept;
    std::uint16_t use_content_length(std::string_view value, RequestHead& out) noexcept;
    std::uint16_t use_transfer_encoding(std::string_view value, RequestHead& out) noexcept;
    std::uint16_t finish(const RequestHead& out) noexcept;

    const char* bytes_ = nullptr;  // where the head began in the last call
    std::uint32_t line_at_ = 0;    // start of the first unfinished line; all before it is parsed
    std::uint32_t scanned_ = 0;    // that line holds no control byte before this offset
    Stage stage_ = Stage::begin;
    std::uint8_t empty_lines_ = 0;
    std::uint8_t fields_ = 0;
    bool done_ = false;
    bool has_host_ = false;
    bool has_transfer_encoding_ = false;
    bool unknown_expectation_ = false;
    bool absolute_target_ = false;
};

/// The same for a head that is expected to be there as a whole.
ParseResult parse_request_head(std::string_view bytes, RequestHead& out) noexcept;

}  // namespace entrepot
