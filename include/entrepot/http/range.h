#pragma once
// Byte ranges (RFC 9110 section 14): what a client asks for, what of it a blob can give, and the Content-Range that says
// so in both directions. One range is served; several at once are answered with the whole (section 14.2 permits it,
// and no registry client asks for several).

#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot {

/// A part of a blob: `length` bytes from `offset`. `partial` says whether to answer 206 or 200.
struct BlobPart {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool partial = false;

    friend bool operator==(const BlobPart&, const BlobPart&) = default;
};

struct RangeRequest {
    enum class Kind : std::uint8_t { whole, from_to, from, suffix };
    Kind kind = Kind::whole;
    std::uint64_t first = 0;  ///< `from_to`, `from`: offset of the first byte. `suffix`: how many bytes from the end
    std::uint64_t last = 0;   ///< `from_to`: offset of the last byte, at least `first`

    /// The part of a blob of `blob_bytes` that satisfies the request; nullopt is a 416. An empty blob is always served whole:
    /// some clients put a Range on everything, and no Content-Range can describe nothing.
    std::optional<BlobPart> within(std::uint64_t blob_bytes) const noexcept;

    friend bool operator==(const RangeRequest&, const RangeRequest&) = default;
};

/// The value of a Range field. Absent (empty), another unit, several ranges or bad syntax all mean the whole.
RangeRequest parse_range(std::string_view value) noexcept;

/// Does the Range hold, given the request's If-Range and the entity tag we would send ("\"sha256:...\"")? Without
/// If-Range yes; a date or a weak tag never matches, since we send neither.
bool if_range_holds(std::string_view if_range, std::string_view etag) noexcept;

/// "bytes 0-499/1234", "bytes 0-499/*", or "bytes */1234" of a 416.
struct ContentRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;                   ///< inclusive, at least `first`; both 0 when `unsatisfied`
    std::optional<std::uint64_t> blob_bytes;  ///< the whole length, unless '*'
    bool unsatisfied = false;

    friend bool operator==(const ContentRange&, const ContentRange&) = default;
};

/// nullopt when malformed or contradictory (last before first, last not inside the whole).
std::optional<ContentRange> parse_content_range(std::string_view value) noexcept;

}  // namespace entrepot
