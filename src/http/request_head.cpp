#include "entrepot/http/request_head.h"

#include "entrepot/http/url.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr char tls_handshake_record = 0x16;
constexpr std::size_t version_bytes = 8;  // "HTTP/1.1"

constexpr std::uint16_t fine = 0;
constexpr std::uint16_t bad_request = 400;
constexpr std::uint16_t target_too_long = 414;
constexpr std::uint16_t expectation_failed = 417;
constexpr std::uint16_t fields_too_large = 431;
constexpr std::uint16_t not_implemented = 501;
constexpr std::uint16_t version_not_supported = 505;

std::uint16_t read_version(std::string_view version, RequestHead& out) noexcept {
    if (version == "HTTP/1.1" || version == "HTTP/1.0") {
        out.version_minor = static_cast<std::uint8_t>(version[7] - '0');
        return fine;
    }
    const bool well_formed = version.size() == version_bytes && version.starts_with("HTTP/") && version[6] == '.' &&
                             scan::is_digit(static_cast<unsigned char>(version[5])) &&
                             scan::is_digit(static_cast<unsigned char>(version[7]));
    return well_formed ? version_not_supported : bad_request;
}

// Methods are case-sensitive and all registered ones are in capitals; a small letter is a mistake, not an extension.
std::uint16_t read_method(std::string_view method, RequestHead& out) noexcept {
    if (method.empty() || method.size() > request_method_bytes_max) return bad_request;
    for (auto known : {Method::get, Method::head, Method::post, Method::put, Method::patch, Method::del, Method::options,
                       Method::trace, Method::connect}) {
        if (method != name_of(known)) continue;
        out.method = known;
        return fine;
    }
    const bool in_capitals = std::none_of(method.begin(), method.end(), [](char c) { return c >= 'a' && c <= 'z'; });
    return in_capitals && scan::all_of(method, scan::token_char) ? not_implemented : bad_request;
}

// Every byte is one RFC 3986 allows, every escape is whole and none hides a control byte: %0d%0a in a name or a query has no
// honest use and must reach neither a log nor an upstream.
bool is_valid_target(std::string_view target) noexcept {
    std::uint8_t common = scan::target_char;
    for (char c : target) common &= scan::classes[static_cast<unsigned char>(c)];
    if (common != 0) return true;

    for (std::size_t at = 0; at < target.size(); ++at) {
        if (scan::is(target[at], scan::target_char)) continue;
        if (target[at] != '%' || target.size() - at < 3) return false;
        const int high = scan::hex_digit(target[at + 1]);
        const int low = scan::hex_digit(target[at + 2]);
        if (high < 0 || low < 0) return false;
        const int byte = high * 16 + low;
        if (byte < 0x20 || byte == 0x7f) return false;
        at += 2;
    }
    return true;
}

// Origin form, or absolute form as a forward proxy would get it; "*" and "host:port" have no meaning here.
std::uint16_t read_target(std::string_view target, RequestHead& out) noexcept {
    if (target.size() > request_target_bytes_max) return target_too_long;
    if (target.empty() || !is_valid_target(target)) return bad_request;
    out.target = target;
    if (target.front() != '/') {
        const std::size_t scheme_bytes = scan::equals_lower(target.substr(0, 7), "http://")    ? 7
                                         : scan::equals_lower(target.substr(0, 8), "https://") ? 8
                                                                                               : 0;
        if (scheme_bytes == 0) return bad_request;
        target.remove_prefix(scheme_bytes);
        const std::size_t host_bytes = std::min(target.find_first_of("/?"), target.size());
        out.host = target.substr(0, host_bytes);
        if (out.host.size() > request_host_bytes_max || !is_valid_authority(out.host)) return bad_request;
        target.remove_prefix(host_bytes);
    }
    const std::size_t question = target.find('?');
    out.path = target.substr(0, question);
    if (out.path.empty()) out.path = "/";  // "http://host" and "http://host?query"
    if (question != std::string_view::npos) out.query = target.substr(question + 1);
    return fine;
}

// Fields that may stand only once: which of two would count is exactly what parsers disagree about.
std::uint16_t set_once(std::string_view& field, std::string_view value) noexcept {
    if (field.data() != nullptr) return bad_request;
    field = value;
    return fine;
}
std::uint16_t keep_first(std::string_view& field, std::string_view value) noexcept {
    if (field.data() == nullptr) field = value;
    return fine;
}

}  // namespace

void RequestHead::clear() noexcept {
    method = Method::get;
    version_minor = 1;
    chunked = expect_continue = connection_close = connection_keep_alive = false;
    content_length.reset();
    for (auto* view :
         {&target, &path, &query, &host, &range, &if_range, &authorization, &user_agent, &content_type, &origin, &sec_fetch_site})
        *view = {};
    accept.clear();
    if_none_match.clear();
    if_match.clear();
}

ParseResult RequestHeadParser::parse(std::string_view bytes, RequestHead& out) noexcept {
    if (bytes.data() != bytes_ || bytes.size() < scanned_) reset();
    if (bytes.empty()) return {};
    if (stage_ == Stage::begin) {
        if (bytes.front() == tls_handshake_record) return {.state = ParseState::tls_hello};
        out.clear();
        bytes_ = bytes.data();
        stage_ = Stage::request_line;
    }

    std::uint16_t status = parse_lines(out, bytes_ + std::min(bytes.size(), request_head_bytes_max));
    if (status == fine && !done_ && bytes.size() >= request_head_bytes_max) status = fields_too_large;
    if (status == fine && !done_) return {};

    const std::uint32_t consumed = line_at_;
    reset();
    if (status != fine) return {.state = ParseState::error, .status = status};
    return {.state = ParseState::complete, .consumed = consumed};
}

// Takes whole lines until the head ends, the bytes do, or something is wrong.
std::uint16_t RequestHeadParser::parse_lines(RequestHead& out, const char* limit) noexcept {
    for (;;) {
        const char* line = bytes_ + line_at_;
        const char* end = scan::find_control(bytes_ + scanned_, limit);
        scanned_ = static_cast<std::uint32_t>(end - bytes_);
        if (end == limit) return refuse_unfinished(line, end);
        if (*end != '\r') return bad_request;
        if (end + 1 == limit) return refuse_unfinished(line, end);
        if (end[1] != '\n') return bad_request;
        line_at_ = scanned_ += 2;

        std::uint16_t status = fine;
        if (stage_ == Stage::request_line) status = parse_request_line(line, end, out);
        else if (line == end) return finish(out);
        else status = parse_field(line, end, out);
        if (status != fine) return status;
    }
}

// A line that has not ended is refused as soon as no ending could make it good, so that nobody waits for a peer that speaks
// another protocol, and no more is buffered than the bounds say.
std::uint16_t RequestHeadParser::refuse_unfinished(const char* line, const char* end) const noexcept {
    const std::string_view begun(line, static_cast<std::size_t>(end - line));
    if (stage_ == Stage::fields) return begun.size() > request_field_bytes_max ? fields_too_large : fine;
    if (begun.empty()) return fine;
    if (!scan::is(begun.front(), scan::token_char)) return bad_request;

    const std::size_t method_bytes = begun.substr(0, request_method_bytes_max + 1).find(' ');
    if (method_bytes == std::string_view::npos) return begun.size() > request_method_bytes_max ? bad_request : fine;
    const std::size_t rest_bytes = begun.size() - method_bytes - 1;
    return rest_bytes > request_target_bytes_max + 1 + version_bytes ? target_too_long : fine;
}

std::uint16_t RequestHeadParser::parse_request_line(const char* begin, const char* end, RequestHead& out) noexcept {
    const std::string_view line(begin, static_cast<std::size_t>(end - begin));
    if (line.empty()) return ++empty_lines_ > request_empty_lines_max ? bad_request : fine;

    const std::size_t method_end = line.find(' ');
    const std::size_t target_end = line.rfind(' ');
    if (method_end == target_end) return bad_request;  // no blank at all, or HTTP/0.9
    const std::string_view target = line.substr(method_end + 1, target_end - method_end - 1);

    // The version first: another protocol's words need not mean what ours do (an HTTP/2 preface is a 505).
    std::uint16_t status = read_version(line.substr(target_end + 1), out);
    if (status == fine) status = read_target(target, out);
    if (status == fine) status = read_method(line.substr(0, method_end), out);
    absolute_target_ = out.host.data() != nullptr;
    stage_ = Stage::fields;
    return status;
}

std::uint16_t RequestHeadParser::parse_field(const char* begin, const char* end, RequestHead& out) noexcept {
    const std::string_view line(begin, static_cast<std::size_t>(end - begin));
    if (line.size() > request_field_bytes_max) return fields_too_large;
    if (++fields_ > request_fields_max) return fields_too_large;

    // No name, a blank before the colon, a folded line: all end the name at something that is not a colon.
    const std::size_t name_bytes = scan::span_of(line, scan::token_char);
    if (name_bytes == 0 || name_bytes == line.size() || line[name_bytes] != ':') return bad_request;
    return use_field(line.substr(0, name_bytes), scan::trim(line.substr(name_bytes + 1)), out);
}

// The length of the name leaves at most three candidates, so an unknown field costs one or two comparisons.
std::uint16_t RequestHeadParser::use_field(std::string_view name, std::string_view value, RequestHead& out) noexcept {
    const char* at = name.data();
    switch (name.size()) {
        case 4:
            if (scan::is_name(at, "host")) return use_host(value, out);
            break;
        case 5:
            if (scan::is_name(at, "range")) return set_once(out.range, value);
            break;
        case 6:
            if (scan::is_name(at, "accept")) return out.accept.add(value) ? fine : fields_too_large;
            if (scan::is_name(at, "expect")) return use_expect(value, out);
            if (scan::is_name(at, "origin")) return set_once(out.origin, value);
            break;
        case 8:
            if (scan::is_name(at, "if-range")) return set_once(out.if_range, value);
            if (scan::is_name(at, "if-match")) (void)out.if_match.add(value);
            break;
        case 10:
            if (scan::is_name(at, "user-agent")) return keep_first(out.user_agent, value);
            if (scan::is_name(at, "connection")) {
                scan::read_connection(value, out.connection_close, out.connection_keep_alive);
            }
            break;
        case 12:
            if (scan::is_name(at, "content-type")) return set_once(out.content_type, value);
            break;
        case 13:
            if (scan::is_name(at, "authorization")) return set_once(out.authorization, value);
            if (scan::is_name(at, "if-none-match")) return out.if_none_match.add(value) ? fine : fields_too_large;
            break;
        case 14:
            if (scan::is_name(at, "content-length")) return use_content_length(value, out);
            if (scan::is_name(at, "sec-fetch-site")) return set_once(out.sec_fetch_site, value);
            break;
        case 17:
            if (scan::is_name(at, "transfer-encoding")) return use_transfer_encoding(value, out);
            break;
        default: break;
    }
    return fine;
}

std::uint16_t RequestHeadParser::use_host(std::string_view value, RequestHead& out) noexcept {
    if (has_host_) return bad_request;
    has_host_ = true;
    if (value.size() > request_host_bytes_max || !is_valid_authority(value)) return bad_request;
    if (!absolute_target_) out.host = value;
    return fine;
}

// RFC 9110 section 10.1.1. The answer 417 waits for the end of the head, since a malformed head is the graver fault.
std::uint16_t RequestHeadParser::use_expect(std::string_view value, RequestHead& out) noexcept {
    if (!scan::equals_lower(value, "100-continue")) unknown_expectation_ = true;
    else if (out.version_minor >= 1) out.expect_continue = true;
    return fine;
}

// RFC 9112 section 6.3 would let equal lengths and a length beside chunks pass; both are how requests are smuggled.
std::uint16_t RequestHeadParser::use_content_length(std::string_view value, RequestHead& out) noexcept {
    if (out.content_length || has_transfer_encoding_) return bad_request;
    out.content_length = scan::parse_decimal(value);
    return out.content_length ? fine : bad_request;
}

std::uint16_t RequestHeadParser::use_transfer_encoding(std::string_view value, RequestHead& out) noexcept {
    if (has_transfer_encoding_ || out.content_length || out.version_minor == 0) return bad_request;
    has_transfer_encoding_ = true;
    out.chunked = scan::equals_lower(value, "chunked");
    if (out.chunked) return fine;
    const bool is_other_coding = !value.empty() && scan::all_of(value, scan::token_char);
    return is_other_coding ? not_implemented : bad_request;
}

std::uint16_t RequestHeadParser::finish(const RequestHead& out) noexcept {
    if (!has_host_ && out.version_minor >= 1) return bad_request;
    if (unknown_expectation_) return expectation_failed;
    done_ = true;
    return fine;
}

ParseResult parse_request_head(std::string_view bytes, RequestHead& out) noexcept {
    RequestHeadParser parser;
    return parser.parse(bytes, out);
}

}  // namespace entrepot
