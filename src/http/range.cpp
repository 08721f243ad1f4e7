#include "entrepot/http/range.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

// 1*DIGIT. A number past 64 bits is still a proper offset, only beyond any blob.
std::optional<std::uint64_t> read_offset(std::string_view text) noexcept {
    if (!scan::is_number(text)) return std::nullopt;
    return scan::parse_decimal(text).value_or(UINT64_MAX);
}

RangeRequest parse_one(std::string_view range) noexcept {
    using Kind = RangeRequest::Kind;
    const std::size_t dash = range.find('-');
    if (dash == std::string_view::npos) return {};
    const std::string_view before = range.substr(0, dash);
    const std::string_view after = range.substr(dash + 1);
    const auto first = read_offset(before);
    const auto last = read_offset(after);
    if (before.empty() && last) return {.kind = Kind::suffix, .first = *last};
    if (first && after.empty()) return {.kind = Kind::from, .first = *first};
    if (first && last && *first <= *last) return {.kind = Kind::from_to, .first = *first, .last = *last};
    return {};
}

}  // namespace

RangeRequest parse_range(std::string_view value) noexcept {
    const std::size_t equals = value.find('=');
    if (equals == std::string_view::npos || !scan::equals_lower(value.substr(0, equals), "bytes")) return {};
    std::string_view list = value.substr(equals + 1);
    std::string_view range;
    std::string_view another;
    if (!scan::next_element(list, range) || scan::next_element(list, another)) return {};
    return parse_one(range);
}

std::optional<BlobPart> RangeRequest::within(std::uint64_t blob_bytes) const noexcept {
    if (kind == Kind::whole || blob_bytes == 0) return BlobPart{.offset = 0, .length = blob_bytes, .partial = false};
    if (kind == Kind::suffix) {
        if (first == 0) return std::nullopt;
        const std::uint64_t length = std::min(first, blob_bytes);
        return BlobPart{.offset = blob_bytes - length, .length = length, .partial = true};
    }
    if (first >= blob_bytes) return std::nullopt;
    const std::uint64_t end = kind == Kind::from ? blob_bytes - 1 : std::min(last, blob_bytes - 1);
    return BlobPart{.offset = first, .length = end - first + 1, .partial = true};
}

// RFC 9110 section 13.1.5 asks for the strong comparison; our own tags are all strong.
bool if_range_holds(std::string_view if_range, std::string_view etag) noexcept { return if_range.empty() || if_range == etag; }

std::optional<ContentRange> parse_content_range(std::string_view value) noexcept {
    constexpr std::string_view unit = "bytes ";
    if (!scan::equals_lower(value.substr(0, unit.size()), unit)) return std::nullopt;
    value = scan::trim(value.substr(unit.size()));
    const std::size_t slash = value.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view range = value.substr(0, slash);
    const std::string_view whole = value.substr(slash + 1);

    ContentRange out;
    if (whole != "*") {
        out.blob_bytes = scan::parse_decimal(whole);
        if (!out.blob_bytes) return std::nullopt;
    }
    if (range == "*") {
        out.unsatisfied = true;
        return out.blob_bytes ? std::optional(out) : std::nullopt;
    }
    const std::size_t dash = std::min(range.find('-'), range.size());
    const auto first = scan::parse_decimal(range.substr(0, dash));
    const auto last = scan::parse_decimal(range.substr(std::min(dash + 1, range.size())));
    if (!first || !last || *last < *first || *last == UINT64_MAX) return std::nullopt;
    if (out.blob_bytes && *last >= *out.blob_bytes) return std::nullopt;
    out.first = *first;
    out.last = *last;
    return out;
}

}  // namespace entrepot
