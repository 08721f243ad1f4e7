// Any bytes as the values that clients and upstreams put into small fields: Range, Content-Range, If-None-Match, Accept, dates.
// The first eight bytes of the input are the length of the blob.

#include "entrepot/base/assert.h"
#include "entrepot/http/accept.h"
#include "entrepot/http/conditional.h"
#include "entrepot/http/date.h"
#include "entrepot/http/head_writer.h"
#include "entrepot/http/range.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

using namespace entrepot;

namespace {

// What we answer must be a Content-Range that we would understand, and mean the same.
void check_content_range(BlobPart part, std::uint64_t blob_bytes) {
    std::array<char, 128> buffer;
    HeadWriter writer(buffer);
    const auto text = writer.content_range(part, blob_bytes).finish();
    ASSERT(text.has_value());
    constexpr std::string_view name = "Content-Range: ";
    const auto parsed = parse_content_range(text->substr(name.size(), text->size() - name.size() - 4));
    ASSERT(parsed && parsed->first == part.offset && parsed->last == part.offset + part.length - 1);
    ASSERT(parsed->blob_bytes == blob_bytes);
}

void check_range(std::string_view value, std::uint64_t blob_bytes) {
    const RangeRequest range = parse_range(value);
    ASSERT(range.kind != RangeRequest::Kind::from_to || range.first <= range.last);
    const auto part = range.within(blob_bytes);
    if (!part) {
        ASSERT(range.kind != RangeRequest::Kind::whole && blob_bytes > 0);
        return;
    }
    ASSERT(part->offset <= blob_bytes && part->length <= blob_bytes - part->offset);
    ASSERT(part->partial ? part->length > 0 : part->length == blob_bytes);
    if (part->partial) check_content_range(*part, blob_bytes);
}

void check_date(std::string_view value) {
    const auto seconds = parse_http_date(value, 1790000000);
    if (!seconds || *seconds < 0 || *seconds > 253402300799) return;
    const auto text = format_http_date(*seconds);
    ASSERT(parse_http_date({text.data(), text.size()}, 1790000000) == seconds);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::uint64_t blob_bytes = 0;
    if (size < sizeof blob_bytes) return 0;
    std::memcpy(&blob_bytes, data, sizeof blob_bytes);
    const std::size_t length = size - sizeof blob_bytes;
    const auto copy = std::make_unique<char[]>(length);
    std::copy(data + sizeof blob_bytes, data + size, copy.get());
    const std::string_view value(copy.get(), length);
    const std::array<std::string_view, 2> lines = {value.substr(0, length / 2), value.substr(length / 2)};

    check_range(value, blob_bytes);
    check_range(value, blob_bytes % 1000);
    const auto content_range = parse_content_range(value);
    ASSERT(!content_range || content_range->unsatisfied || !content_range->blob_bytes ||
           content_range->last < *content_range->blob_bytes);
    const bool hit = if_none_match_hits({&value, 1}, "\"a\"");
    ASSERT(!hit || value.find("\"a\"") != std::string_view::npos || value == "*");
    (void)if_none_match_hits(lines, "\"sha256:aa\"");
    (void)accepts(lines, "a/b");
    (void)if_range_holds(value, "\"a\"");
    check_date(value);
    const auto wait = parse_retry_after(value, static_cast<std::int64_t>(blob_bytes), std::chrono::seconds(600));
    ASSERT(!wait || (wait->count() >= 0 && wait->count() <= 600));
    return 0;
}
