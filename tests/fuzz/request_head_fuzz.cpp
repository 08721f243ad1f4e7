// Any bytes as a request head: nothing outside them is read, what is accepted keeps the promises of the header, and bytes
// that come one by one give the same head as bytes that come at once.

#include "entrepot/base/assert.h"
#include "entrepot/http/accept.h"
#include "entrepot/http/conditional.h"
#include "entrepot/http/range.h"
#include "entrepot/http/request_head.h"
#include "entrepot/http/url.h"

#include <cstdint>
#include <memory>
#include <string_view>

using namespace entrepot;

namespace {

bool is_inside(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check_accepted(const RequestHead& head, std::string_view bytes, std::uint32_t consumed) {
    ASSERT(consumed <= bytes.size() && consumed <= request_head_bytes_max);
    bytes = bytes.substr(0, consumed);
    ASSERT(bytes.ends_with("\r\n\r\n"));
    ASSERT(head.path.starts_with('/') && head.target.size() <= request_target_bytes_max);
    ASSERT(head.path == "/" || is_inside(head.path, bytes));
    ASSERT(!(head.chunked && head.content_length) && !(head.chunked && head.version_minor == 0));
    ASSERT(head.host.empty() ? head.version_minor == 0 : is_valid_authority(head.host));
    for (auto view : {head.target, head.query, head.host, head.range, head.if_range, head.authorization, head.user_agent,
                      head.content_type, head.origin, head.sec_fetch_site}) {
        ASSERT(is_inside(view, bytes));
        ASSERT(view.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
    for (auto view : head.accept.values()) ASSERT(is_inside(view, bytes));
    for (auto view : head.if_none_match.values()) ASSERT(is_inside(view, bytes));

    const auto part = parse_range(head.range).within(1000);
    ASSERT(!part || (part->offset <= 1000 && part->length <= 1000 - part->offset));
    (void)accepts(head.accept, "application/vnd.oci.image.manifest.v1+json");
    (void)if_none_match_hits(head.if_none_match, "\"sha256:aa\"");
    (void)find_query(head.query, "ns");
    ASSERT(percent_decode(head.path).has_value() && percent_decode(head.query).has_value());
}

void check_byte_by_byte(std::string_view bytes, const ParseResult& expected, const RequestHead& expected_head) {
    RequestHeadParser parser;
    RequestHead head;
    ParseResult result;
    for (std::size_t size = 1; size <= bytes.size() && result.state == ParseState::incomplete; ++size)
        result = parser.parse(bytes.substr(0, size), head);
    ASSERT(result.state == expected.state);
    if (result.state != ParseState::complete) return;
    ASSERT(result == expected);
    ASSERT(head.method == expected_head.method && head.path == expected_head.path && head.query == expected_head.query);
    ASSERT(head.host == expected_head.host && head.range == expected_head.range && head.chunked == expected_head.chunked);
    ASSERT(head.content_length == expected_head.content_length && head.accept.size() == expected_head.accept.size());
    ASSERT(keeps_alive(head) == keeps_alive(expected_head));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // A copy of exactly this size, so that the sanitizer sees any look beyond the end.
    const auto copy = std::make_unique<char[]>(size);
    std::copy(data, data + size, copy.get());
    const std::string_view bytes(copy.get(), size);

    RequestHead head;
    const ParseResult result = parse_request_head(bytes, head);
    if (result.state == ParseState::complete) check_accepted(head, bytes, result.consumed);
    if (result.state == ParseState::error) {
        ASSERT(result.status == 400 || result.status == 414 || result.status == 417 || result.status == 431 ||
               result.status == 501 || result.status == 505);
    }
    ASSERT((result.state == ParseState::tls_hello) == (size > 0 && data[0] == 0x16));
    check_byte_by_byte(bytes, result, head);
    return 0;
}
