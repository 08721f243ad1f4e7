#include "entrepot/http/response_head.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t status_line_bytes_min = 12;  // "HTTP/1.1 200"; some servers leave out the blank before no reason

bool read_status_line(std::string_view line, ResponseHead& out) noexcept {
    if (line.size() < status_line_bytes_min) return false;
    const std::string_view version = line.substr(0, 9);
    if (version != "HTTP/1.1 " && version != "HTTP/1.0 ") return false;
    if (line.size() > status_line_bytes_min && line[status_line_bytes_min] != ' ') return false;
    const auto status = scan::parse_decimal(line.substr(9, 3));
    if (!status || *status < 100 || *status > 599) return false;
    out.version_minor = static_cast<std::uint8_t>(version[7] - '0');
    out.status = static_cast<std::uint16_t>(*status);
    return true;
}

bool keep_first(std::string_view& field, std::string_view value) noexcept {
    if (field.data() == nullptr) field = value;
    return true;
}

// For fields that decide what is stored or where we go next: two that differ leave no right choice.
bool set_same(std::string_view& field, std::string_view value) noexcept {
    if (field.data() == nullptr) field = value;
    return field == value;
}

}  // namespace

void ResponseHead::clear() noexcept {
    status = 0;
    version_minor = 1;
    chunked = connection_close = connection_keep_alive = false;
    content_length.reset();
    for (auto* view : {&content_type, &location, &docker_content_digest, &etag, &accept_ranges, &content_range, &content_encoding,
                       &retry_after, &ratelimit_limit, &ratelimit_remaining, &oci_filters_applied, &date})
        *view = {};
    www_authenticate.clear();
    link.clear();
}

ParseResult ResponseHeadParser::parse(std::string_view bytes, ResponseHead& out) noexcept {
    if (bytes.data() != bytes_ || bytes.size() < scanned_) reset();
    if (bytes.empty()) return {};
    if (bytes_ == nullptr) {
        out.clear();
        bytes_ = bytes.data();
    }

    bool is_good = parse_lines(out, bytes_ + std::min(bytes.size(), response_head_bytes_max));
    if (!done_ && bytes.size() >= response_head_bytes_max) is_good = false;
    if (is_good && !done_) return {};

    const std::uint32_t consumed = line_at_;
    reset();
    if (!is_good) return {.state = ParseState::error};
    return {.state = ParseState::complete, .consumed = consumed};
}

bool ResponseHeadParser::parse_lines(ResponseHead& out, const char* limit) noexcept {
    constexpr std::string_view protocol = "HTTP/1.";
    while (!done_) {
        const char* begin = bytes_ + line_at_;
        const char* end = scan::find_control(bytes_ + scanned_, limit);
        scanned_ = static_cast<std::uint32_t>(end - bytes_);
        const std::string_view line(begin, static_cast<std::size_t>(end - begin));
        // A peer that speaks something else is found out by its first bytes, not by a timeout.
        if (!has_status_line_ && line.substr(0, protocol.size()) != protocol.substr(0, line.size())) return false;
        if (end == limit) return true;
        if (*end != '\r') return false;
        if (end + 1 == limit) return true;
        if (end[1] != '\n') return false;
        line_at_ = scanned_ += 2;

        if (!has_status_line_) {
            if (!read_status_line(line, out)) return false;
            has_status_line_ = true;
        } else if (line.empty()) {
            done_ = true;
        } else if (!parse_field(line, out)) {
            return false;
        }
    }
    return true;
}

bool ResponseHeadParser::parse_field(std::string_view line, ResponseHead& out) noexcept {
    if (++fields_ > response_fields_max) return false;
    const std::size_t name_bytes = scan::span_of(line, scan::token_char);
    if (name_bytes == 0 || name_bytes == line.size() || line[name_bytes] != ':') return false;
    return use_field(line.substr(0, name_bytes), scan::trim(line.substr(name_bytes + 1)), out);
}

bool ResponseHeadParser::use_field(std::string_view name, std::string_view value, ResponseHead& out) noexcept {
    const char* at = name.data();
    switch (name.size()) {
        case 4:
            if (scan::is_name(at, "etag")) return keep_first(out.etag, value);
            if (scan::is_name(at, "date")) return keep_first(out.date, value);
            if (scan::is_name(at, "link")) out.link.add(value);  // full: ignored, as promised
            break;
        case 8:
            if (scan::is_name(at, "location")) return set_same(out.location, value);
            break;
        case 10:
            if (scan::is_name(at, "connection")) {
                scan::read_connection(value, out.connection_close, out.connection_keep_alive);
            }
            break;
        case 11:
            if (scan::is_name(at, "retry-after")) return keep_first(out.retry_after, value);
            break;
        case 12:
            if (scan::is_name(at, "content-type")) return set_same(out.content_type, value);
            break;
        case 13:
            if (scan::is_name(at, "content-range")) return set_same(out.content_range, value);
            if (scan::is_name(at, "accept-ranges")) return keep_first(out.accept_ranges, value);
            break;
        case 14:
            if (scan::is_name(at, "content-length")) return use_content_length(value, out);
            break;
        case 15:
            if (scan::is_name(at, "ratelimit-limit")) return keep_first(out.ratelimit_limit, value);
            break;
        case 16:
            if (scan::is_name(at, "content-encoding")) return set_same(out.content_encoding, value);
            if (scan::is_name(at, "www-authenticate")) out.www_authenticate.add(value);  // full: ignored, as promised
            break;
        case 17:
            if (scan::is_name(at, "transfer-encoding")) return use_transfer_encoding(value, out);
            break;
        case 19:
            if (scan::is_name(at, "ratelimit-remaining")) return keep_first(out.ratelimit_remaining, value);
            if (scan::is_name(at, "oci-filters-applied")) return keep_first(out.oci_filters_applied, value);
            break;
        case 21:
            if (scan::is_name(at, "docker-content-digest")) return set_same(out.docker_content_digest, value);
            break;
        default: break;
    }
    return true;
}

// Equal lengths said twice, on two lines or in one list, are one length (RFC 9110 section 8.6); proxies on the way to a
// registry do that. Anything else is an error.
bool ResponseHeadParser::use_content_length(std::string_view value, ResponseHead& out) noexcept {
    if (has_transfer_encoding_) return false;
    std::string_view element;
    bool has_length = false;
    while (scan::next_element(value, element)) {
        const auto length = scan::parse_decimal(element);
        if (!length || (out.content_length && *out.content_length != *length)) return false;
        out.content_length = length;
        has_length = true;
    }
    return has_length;
}

bool ResponseHeadParser::use_transfer_encoding(std::string_view value, ResponseHead& out) noexcept {
    if (has_transfer_encoding_ || out.content_length || out.version_minor == 0) return false;
    has_transfer_encoding_ = true;
    out.chunked = scan::equals_lower(value, "chunked");
    return out.chunked;
}

ParseResult parse_response_head(std::string_view bytes, ResponseHead& out) noexcept {
    ResponseHeadParser parser;
    return parser.parse(bytes, out);
}

BodyFraming body_framing(const ResponseHead& head, bool request_was_head) noexcept {
    using Kind = BodyFraming::Kind;
    const bool is_bodiless = request_was_head || head.status < 200 || head.status == 204 || head.status == 304;
    if (is_bodiless) return {.kind = Kind::none};
    if (head.chunked) return {.kind = Kind::chunked};
    if (head.content_length) return {.kind = Kind::length, .length = *head.content_length};
    return {.kind = Kind::until_close};
}

bool keeps_alive(const ResponseHead& head, BodyFraming framing) noexcept {
    if (head.connection_close || framing.kind == BodyFraming::Kind::until_close) return false;
    return head.version_minor >= 1 || head.connection_keep_alive;
}

}  // namespace entrepot
