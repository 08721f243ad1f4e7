#pragma once
// Manifests of one owner shard: small documents, fetched whole, checked, stored as blobs with a media type, and coalesced: whoever asks for one that is being fetched waits for
// that fetch. Bytes are never re-encoded and media types never converted.

#include "entrepot/cache/fetch.h"

#include <unordered_map>
#include <unordered_set>

namespace entrepot {

template <typename T>
using Fetched = Result<T, UpstreamFailure>;

/// A manifest in hand: its bytes in memory, or its open file when it is large and stored.
struct ManifestContent {
    Digest digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::shared_ptr<const std::string> body;
    BlobRef file;
};

class Manifests {
  public:
    explicit Manifests(FetchTools& tools) noexcept : tools_(tools) {}

    /// From the ledger and the store, when `source` was granted it. Code::not_found (Fault::storage) otherwise.
    Task<Fetched<ManifestContent>> find(Source source, Digest digest);
    /// Asks upstream for `reference` (a tag or a digest's text); one request for everybody who asks meanwhile. The result is verified, not yet kept.
    Task<Fetched<ManifestContent>> fetch(Source source, std::string reference);
    /// On the shard that owns the digest: stores the manifest, its record, and the grants for what it references. A store that refuses is logged, not an error.
    Task<void> keep(Source source, ManifestContent content);
    /// True while keep() writes this digest: no other writer may begin.
    bool keeping(const Digest& digest) const noexcept { return keeping_.contains(digest); }

  private:
    struct InFlight {
        Condition ended;
        std::optional<Fetched<ManifestContent>> outcome;
    };

    Task<Fetched<ManifestContent>> fetch_now(const Source& source, const std::string& reference);
    Task<Fetched<std::string>> read_body(UpstreamExchange& exchange);
    Task<Result<void>> write(const ManifestContent& content);

    FetchTools& tools_;
    std::unordered_map<std::string, std::shared_ptr<InFlight>> in_flight_;
    std::unordered_set<Digest, DigestHash> keeping_;
};

/// Checks what upstream sent for `reference` and names it: the digest asked for, or the one upstream claims, or the sha256 of the bytes.
Fetched<ManifestContent> inspect_manifest(std::string body, std::string_view content_type, std::string_view claimed_digest, std::string_view reference);

UpstreamFailure upstream_failure(Fault fault, Code code, std::string why);

}  // namespace entrepot
