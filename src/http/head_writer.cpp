#include "entrepot/http/head_writer.h"

#include "entrepot/base/assert.h"

#include "http/scan.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace entrepot {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::size_t number_bytes_max = 20;  // 2^64 - 1

// The lines of nearly all answers, ready-made.
std::string_view common_status_line(std::uint16_t status) noexcept {
    switch (status) {
        case 200: return "HTTP/1.1 200 OK\r\n";
        case 206: return "HTTP/1.1 206 Partial Content\r\n";
        case 304: return "HTTP/1.1 304 Not Modified\r\n";
        case 404: return "HTTP/1.1 404 Not Found\r\n";
        default: return {};
    }
}

}  // namespace

std::string_view reason_of(std::uint16_t status) noexcept {
    switch (status) {
        case 100: return "Continue";
        case 200: return "OK";
        case 201: return "Created";
        case 202: return "Accepted";
        case 204: return "No Content";
        case 206: return "Partial Content";
        case 301: return "Moved Permanently";
        case 302: return "Found";
        case 303: return "See Other";
        case 304: return "Not Modified";
        case 307: return "Temporary Redirect";
        case 308: return "Permanent Redirect";
        case 400: return "Bad Request";
        case 401: return "Unauthorized";
        case 403: return "Forbidden";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 406: return "Not Acceptable";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 410: return "Gone";
        case 411: return "Length Required";
        case 412: return "Precondition Failed";
        case 413: return "Content Too Large";
        case 414: return "URI Too Long";
        case 415: return "Unsupported Media Type";
        case 416: return "Range Not Satisfiable";
        case 417: return "Expectation Failed";
        case 421: return "Misdirected Request";
        case 422: return "Unprocessable Content";
        case 429: return "Too Many Requests";
        case 431: return "Request Header Fields Too Large";
        case 500: return "Internal Server Error";
        case 501: return "Not Implemented";
        case 502: return "Bad Gateway";
        case 503: return "Service Unavailable";
        case 504: return "Gateway Timeout";
        case 505: return "HTTP Version Not Supported";
        case 507: return "Insufficient Storage";
        default: return "Status";
    }
}

bool is_field_value(std::string_view value) noexcept {
    const char* at = value.data();
    const char* end = at + value.size();
    // The search goes in steps of sixteen bytes and takes what is left one by one; a longer value's last sixteen are looked at as a whole instead.
    if (value.size() >= 16) {
        if (scan::find_control(end - 16, end) != end) return false;
        end -= value.size() % 16;
    }
    return scan::find_control(at, end) == end;
}

void HeadWriter::put(std::string_view text) noexcept {
    if (text.empty()) return;  // its pointer may be null, which memcpy does not take
    if (failed_ || static_cast<std::size_t>(end_ - at_) < text.size()) {
        failed_ = true;
        return;
    }
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
}

void HeadWriter::put_number(std::uint64_t number) noexcept {
    char digits[number_bytes_max];
    const auto written = std::to_chars(digits, digits + sizeof digits, number);
    put(std::string_view(digits, static_cast<std::size_t>(written.ptr - digits)));
}

HeadWriter& HeadWriter::status_line(std::uint16_t status) noexcept {
    ASSERT(status >= 100 && status <= 599);
    const std::string_view common = common_status_line(status);
    if (!common.empty()) {
        put(common);
        return *this;
    }
    put("HTTP/1.1 ");
    put_number(status);
    put(" ");
    put(reason_of(status));
    put(line_end);
    return *this;
}

HeadWriter& HeadWriter::request_line(Method method, std::string_view target) noexcept {
    const bool is_one_word = std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (!target.starts_with('/') || !is_one_word) failed_ = true;
    put(name_of(method));
    put(" ");
    put(target);
    put(" HTTP/1.1\r\n");
    return *this;
}

HeadWriter& HeadWriter::field(std::string_view name, std::string_view value) noexcept {
    if (!is_field_value(value)) failed_ = true;
    put_field(name, value);
    return *this;
}

HeadWriter& HeadWriter::field(std::string_view name, std::uint64_t number) noexcept {
    char digits[number_bytes_max];
    const auto written = std::to_chars(digits, digits + sizeof digits, number);
    put_field(name, std::string_view(digits, static_cast<std::size_t>(written.ptr - digits)));
    return *this;
}

void HeadWriter::put_field(std::string_view name, std::string_view value) noexcept {
    ASSERT(!name.empty());
    constexpr std::size_t marks_bytes = 4;  // ": " and the line's end
    // Names are literals and values lie in memory: their sum does not overflow.
    if (failed_ || static_cast<std::size_t>(end_ - at_) < name.size() + value.size() + marks_bytes) {
        failed_ = true;
        return;
    }
    at_ = std::copy(name.begin(), name.end(), at_);
    *at_++ = ':';
    *at_++ = ' ';
    at_ = std::copy(value.begin(), value.end(), at_);
    *at_++ = '\r';
    *at_++ = '\n';
}

HeadWriter& HeadWriter::content_range(BlobPart part, std::uint64_t blob_bytes) noexcept {
    ASSERT(part.length > 0 && part.offset < blob_bytes && part.length <= blob_bytes - part.offset);
    put("Content-Range: bytes ");
    put_number(part.offset);
    put("-");
    put_number(part.offset + part.length - 1);
    put("/");
    put_number(blob_bytes);
    put(line_end);
    return *this;
}

HeadWriter& HeadWriter::prepared(std::string_view lines) noexcept {
    ASSERT(lines.empty() || lines.ends_with(line_end));
    put(lines);
    return *this;
}

std::optional<std::string_view> HeadWriter::finish() noexcept {
    put(line_end);
    if (failed_) return std::nullopt;
    return std::string_view(begin_, static_cast<std::size_t>(at_ - begin_));
}

}  // namespace entrepot
