#pragma once
// What one shard can serve without asking anybody: open descriptors, and the whole bodies of small blobs and manifests, by digest, least recently used goes first.
// Bounded in entries and in bytes. An entry that holds a descriptor keeps its blob from being evicted, so idle ones are let go after a while and under pressure.

#include "entrepot/base/clock.h"
#include "entrepot/base/intrusive_list.h"
#include "entrepot/cache/counters.h"
#include "entrepot/store/blob_file.h"

#include <array>
#include <memory>
#include <string>
#include <unordered_map>

namespace entrepot {

/// Bodies up to this size are kept in memory and answered in one send together with their head.
constexpr std::uint64_t small_body_bytes_max = 32 * KiB;

class HotBlob : public ListLink {
  public:
    HotBlob(const Digest& digest, std::uint64_t size) noexcept : digest_(digest), size_(size) {}

    const Digest& digest() const noexcept { return digest_; }
    std::uint64_t size() const noexcept { return size_; }
    /// Whether this entry remembers that upstream gave the digest to that scope and repository (Source::key).
    bool granted_to(std::uint64_t source_key) const noexcept;
    void grant(std::uint64_t source_key) noexcept;

    BlobRef file;                             ///< null when `body` is there
    std::shared_ptr<const std::string> body;  ///< null when large
    std::string media_type;                   ///< of a manifest; empty for a blob
    Instant used{};
    Instant touched{};  ///< when the eviction was last told

  private:
    static constexpr std::size_t grants_max = 8;  // the oldest is forgotten and looked up again
    Digest digest_;
    std::uint64_t size_;
    std::array<std::uint64_t, grants_max> grants_{};
    std::size_t grants_made_ = 0;
};

using HotRef = std::shared_ptr<HotBlob>;

class HotBlobs {
  public:
    struct Options {
        std::size_t entries_max = 4096;
        std::uint64_t body_bytes_max = 64 * MiB;
        Duration idle_max = std::chrono::seconds(10);  ///< a descriptor unused for so long is let go
    };

    HotBlobs(const Options& options, CacheCounters& counters) noexcept : options_(options), counters_(counters) {}
    ~HotBlobs() { clear(); }

    /// Moves the entry to the young end.
    HotRef find(const Digest& digest, Instant time) noexcept;
    /// Replaces an entry of the same digest.
    void insert(HotRef blob, Instant time);
    void forget(const Digest& digest) noexcept;
    /// Lets idle descriptors go; all of them when `all`. Bodies in memory stay.
    void let_go_of_files(Instant time, bool all) noexcept;
    void clear() noexcept;

  private:
    void drop(HotBlob& blob) noexcept;
    void publish_gauges() noexcept;

    Options options_;
    CacheCounters& counters_;
    std::unordered_map<Digest, HotRef, DigestHash> by_digest_;
    IntrusiveList<HotBlob> by_age_;  // oldest first
    std::uint64_t body_bytes_ = 0;
    std::uint64_t gauge_entries_ = 0, gauge_bytes_ = 0;
};

}  // namespace entrepot
