#pragma once
// The request-target (RFC 9112, 3.2) of a call to the registry API, taken apart into a value: what is asked, of which
// repository, with which query. Pure, no allocation; the views point into the path, or into the caller's scratch where
// a query value had to be decoded. Methods are not looked at: everything but GET and HEAD is refused before or after.
//
// The path is never percent-decoded. No valid name, tag or digest needs an escape, so '%' there is simply a character that
// the grammars do not have, and no two spellings of one path exist. The query is decoded, once.

#include "entrepot/base/result.h"
#include "entrepot/oci/digest.h"
#include "entrepot/oci/error_body.h"
#include "entrepot/oci/name.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace entrepot {

enum class TargetKind : std::uint8_t {
    base,       ///< `/v2/` (and `/v2`, which some clients ask)
    manifest,   ///< `/v2/<repository>/manifests/<tag or digest>`
    blob,       ///< `/v2/<repository>/blobs/<digest>`
    tags_list,  ///< `/v2/<repository>/tags/list`
    referrers,  ///< `/v2/<repository>/referrers/<digest>`
    catalog,    ///< `/v2/_catalog`
    upload,     ///< `/v2/<repository>/blobs/uploads[/...]`, the push side: answer 405 UNSUPPORTED
};

/// A page never has more entries than this. A larger `n` is lowered to it and not refused, as the spec allows, because
/// clients ask for "all" with huge numbers; a client that follows `Link` still gets everything.
constexpr std::uint32_t page_entries_max = 10'000;

struct RequestTarget {
    TargetKind kind = TargetKind::base;
    std::string_view path;           ///< the whole path, for `Link` values and logs
    std::string_view repository;     ///< empty for base and catalog; always a valid name otherwise
    std::string_view tag;            ///< manifest by tag: valid and not empty; else empty
    std::optional<Digest> digest;    ///< blob, referrers, manifest by digest
    std::string_view ns;             ///< `?ns=`: a valid login server in lower case, or empty when absent
    std::optional<std::uint32_t> n;  ///< `?n=`, at most page_entries_max
    std::string_view last;           ///< `?last=`, printable ASCII, or empty
    std::string_view artifact_type;  ///< `?artifactType=`, printable ASCII, or empty
};

/// Why a target is refused, ready for `error_body`. `message` is a literal and lives for ever.
struct TargetError {
    OciCode code = OciCode::unsupported;
    int status = 404;
    std::string_view message;
};

/// Room for the decoded query values of one request. Whoever keeps the RequestTarget keeps this alive beside it.
class QueryScratch {
  public:
    /// No value we use may be longer: a login server has 259 bytes, a repository 255, a media type 255 (RFC 6838).
    static constexpr std::size_t value_bytes_max = 260;
    static constexpr std::size_t bytes_max = 4 * value_bytes_max;

  private:
    friend class QueryReader;
    std::array<char, bytes_max> bytes_;
};

/// Takes `path` and `query` (as they stand in the request line, without the '?') apart. Answers for what does not fit:
///   a path outside the API: 404 UNSUPPORTED · a bad repository: 400 NAME_INVALID · a bad or unknown digest: 400
///   DIGEST_INVALID · a reference that is no tag: 404 MANIFEST_UNKNOWN, as such a tag cannot exist · a bad `n`: 400
///   PAGINATION_NUMBER_INVALID · a bad `ns` or `last`: 400 NAME_INVALID · a bad `artifactType`: 400 UNSUPPORTED ·
///   one of these given twice: the same answer as for a bad one. Unknown query keys are ignored.
/// Views in the result live as long as `path` and `scratch`.
Result<RequestTarget, TargetError> parse_request_target(std::string_view path, std::string_view query,
                                                        QueryScratch& scratch) noexcept;

}  // namespace entrepot
