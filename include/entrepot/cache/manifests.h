#pragma once
// Manifests of one owner shard: small documents, fetched whole, checked, stored as blobs with a media type, and coalesced: whoever asks for one that is being fetched waits for
// that fetch. Bytes are never re-encoded and media types never converted.

#include "entrepot/cache/fetch.h"

#include <deque>
#include <unordered_map>
#include <unordered_set>

namespace entrepot {

/// What the ledger's grants say of a manifest that is of no platform: an index, an artifact, an attestation.
constexpr std::string_view no_platform = "-";

template <typename T>
using Fetched = Result<T, UpstreamFailure>;

/// A manifest in hand: its bytes in memory, or its open file when it is large and stored.
struct ManifestContent {
    Digest digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::shared_ptr<const std::string> body;
    BlobRef file;
    enum class Way : std::uint8_t { found, fetched, joined } way = Way::found;  ///< how this asker came by it
};

class Manifests {
  public:
    explicit Manifests(FetchTools& tools) noexcept : tools_(tools) {}

    /// From the ledger and the store, when `source` was granted it, or from what was fetched a moment ago. Code::not_found (Fault::storage) otherwise.
    Task<Fetched<ManifestContent>> find(Source source, Digest digest);
    /// Asks upstream for `reference` (a tag or a digest's text); one request for everybody who asks meanwhile. The result is verified, not yet kept.
    Task<Fetched<ManifestContent>> fetch(Source source, std::string reference) {
        auto askers = std::make_shared<Askers>(source.client);
        return fetch(std::move(source), std::move(reference), std::move(askers));
    }
    /// For those who wait already, and who may become more.
    Task<Fetched<ManifestContent>> fetch(Source source, std::string reference, std::shared_ptr<Askers> askers);
    /// On the shard that owns the digest: stores the manifest together with its record and the grants for what it references. A store that refuses is logged, not an error.
    Task<void> keep(Source source, ManifestContent content);
    /// On the shard that owns the digest, from the moment it is verified: findable for `source` without waiting for the disk, for `recent_time`.
    void remember(const Source& source, const ManifestContent& content);
    /// What was fetched a moment ago is no longer findable without the ledger.
    void forget(const Digest& digest) noexcept;
    /// True while keep() writes this digest: no other writer may begin.
    bool keeping(const Digest& digest) const noexcept { return keeping_.contains(digest); }

  private:
    struct InFlight {
        std::shared_ptr<Askers> askers;
        Condition ended;
        std::optional<Fetched<ManifestContent>> outcome;
    };

    Task<Fetched<ManifestContent>> fetch_now(const Source& source, const std::string& reference, Askers& askers);
    Task<Fetched<std::string>> read_body(UpstreamExchange& exchange);
    Task<Result<void>> write(const ManifestContent& content, std::vector<LedgerChange> records);

    struct Recent {
        std::uint64_t source_key;
        ManifestContent content;
        Instant until;
    };
    static constexpr Duration recent_time = seconds(2);
    static constexpr std::size_t recent_max = 256;
    static constexpr std::uint64_t recent_bytes_max = 32 * MiB;
    const ManifestContent* find_recent(const Source& source, const Digest& digest);
    void forget_oldest_recent() noexcept;

    FetchTools& tools_;
    std::deque<Recent> recent_;  // oldest first
    std::uint64_t recent_bytes_ = 0;
    std::unordered_map<std::string, std::shared_ptr<InFlight>> in_flight_;
    std::unordered_set<Digest, DigestHash> keeping_;
};

/// Checks what upstream sent for `reference` and names it: the digest asked for, or the one upstream claims, or the sha256 of the bytes.
Fetched<ManifestContent> inspect_manifest(std::string body, std::string_view content_type, std::string_view claimed_digest,
                                          std::string_view reference);

UpstreamFailure upstream_failure(Fault fault, Code code, std::string why);

}  // namespace entrepot
