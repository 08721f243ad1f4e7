// Any bytes as a response head: nothing outside them is read, what is accepted keeps the promises of the header, and bytes
// that come one by one give the same head as bytes that come at once.

#include "entrepot/base/assert.h"
#include "entrepot/http/challenge.h"
#include "entrepot/http/date.h"
#include "entrepot/http/range.h"
#include "entrepot/http/response_head.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>

using namespace entrepot;

namespace {

void check_accepted(const ResponseHead& head, std::string_view bytes, std::uint32_t consumed) {
    ASSERT(consumed <= bytes.size() && consumed <= response_head_bytes_max);
    ASSERT(bytes.substr(0, consumed).ends_with("\r\n\r\n"));
    ASSERT(head.status >= 100 && head.status <= 599);
    ASSERT(!(head.chunked && head.content_length) && !(head.chunked && head.version_minor == 0));
    for (auto view : {head.content_type, head.location, head.docker_content_digest, head.etag, head.accept_ranges,
                      head.content_range, head.content_encoding, head.retry_after, head.ratelimit_limit, head.ratelimit_remaining,
                      head.oci_filters_applied, head.date}) {
        ASSERT(view.empty() || (view.data() > bytes.data() && view.data() + view.size() < bytes.data() + consumed));
        ASSERT(view.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    }
    const BodyFraming framing = body_framing(head, false);
    ASSERT(framing.kind == BodyFraming::Kind::length || framing.length == 0);
    ASSERT(body_framing(head, true).kind == BodyFraming::Kind::none);
    ASSERT(!(keeps_alive(head, framing) && framing.kind == BodyFraming::Kind::until_close));
    ASSERT(parse_challenges(head.www_authenticate).size() <= challenges_max);
    const auto range = parse_content_range(head.content_range);
    ASSERT(!range || range->first <= range->last);
    const auto wait = parse_retry_after(head.retry_after, 1790000000, std::chrono::seconds(600));
    ASSERT(!wait || (wait->count() >= 0 && wait->count() <= 600));
}

void check_byte_by_byte(std::string_view bytes, const ParseResult& expected, const ResponseHead& expected_head) {
    ResponseHeadParser parser;
    ResponseHead head;
    ParseResult result;
    for (std::size_t size = 1; size <= bytes.size() && result.state == ParseState::incomplete; ++size)
        result = parser.parse(bytes.substr(0, size), head);
    ASSERT(result == expected);
    if (result.state != ParseState::complete) return;
    ASSERT(head.status == expected_head.status && head.content_length == expected_head.content_length);
    ASSERT(head.chunked == expected_head.chunked && head.location == expected_head.location);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // A copy of exactly this size, so that the sanitizer sees any look beyond the end.
    const auto copy = std::make_unique<char[]>(size);
    std::copy(data, data + size, copy.get());
    const std::string_view bytes(copy.get(), size);

    ResponseHead head;
    const ParseResult result = parse_response_head(bytes, head);
    ASSERT(result.status == 0 && result.state != ParseState::tls_hello);
    if (result.state == ParseState::complete) check_accepted(head, bytes, result.consumed);
    check_byte_by_byte(bytes, result, head);
    return 0;
}
