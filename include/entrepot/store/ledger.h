#pragma once
// What we know, in one LMDB file (<store>/ledger/): blobs, manifests, tags, and which repositories a digest was granted to. Reading is lock-free from any thread
// and never waits for a writer; changes go through the ledger lane, which commits what is waiting in one transaction (group commit, durable when it returns).
// The one file that includes <lmdb.h> is src/store/ledger.cpp. Records carry a version byte; a newer one than we know is refused at open, never deleted.

#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/oci/digest.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace entrepot {

/// Stored blobs are summed in chunks of this size (XXH3-64); the last chunk may be shorter.
constexpr std::uint64_t chunk_bytes = 256 * KiB;

struct BlobRecord {
    std::uint64_t size = 0;
    std::uint8_t volume = 0;
    std::uint8_t flags = 0;           ///< bit 0: survived the eviction's trial, see eviction.h
    std::int64_t created = 0;         ///< wall seconds
    std::vector<std::uint64_t> sums;  ///< one per chunk
};

struct ManifestRecord {
    std::string media_type;
    std::vector<Digest> references;  ///< config, layers, child manifests: what must stay for the image to be whole
};

/// A tag as upstream last told it. `repository` everywhere in the ledger is "<login server>/<source repository>".
struct TagRecord {
    Digest digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::int64_t checked = 0;  ///< wall seconds of the last answer from upstream
};

// One change; apply() makes a list of them true together or not at all.
struct PutBlob { Digest digest; BlobRecord record; };
struct RemoveBlob { Digest digest; };
struct PutManifest { Digest digest; ManifestRecord record; };
struct PutTag { std::string repository, tag; TagRecord record; };
struct RemoveTag { std::string repository, tag; };
/// `scope` says by whose rights upstream gave it: "" anonymous, else the credential set's name.
struct PutGrant { std::string scope, repository; Digest digest; };
using LedgerChange = std::variant<PutBlob, RemoveBlob, PutManifest, PutTag, RemoveTag, PutGrant>;

class Ledger {
  public:
    struct Options {
        std::string directory;             ///< made when missing, mode 0700
        std::uint64_t map_bytes = 64 * GiB;  ///< address space, not disk
    };

    /// The error is one line for the operator.
    static Result<std::unique_ptr<Ledger>, std::string> open(const Options& options);
    ~Ledger();

    std::optional<BlobRecord> find_blob(const Digest& digest) const;
    std::optional<ManifestRecord> find_manifest(const Digest& digest) const;
    std::optional<TagRecord> find_tag(const std::string& repository, const std::string& tag) const;
    bool granted(const std::string& scope, const std::string& repository, const Digest& digest) const;
    /// Tags of a repository in lexical order, after `last`, at most `count_max`.
    std::vector<std::string> list_tags(const std::string& repository, const std::string& last, std::size_t count_max) const;
    /// Repositories that have tags, in lexical order, after `last`.
    std::vector<std::string> list_repositories(const std::string& last, std::size_t count_max) const;
    /// Every blob, without sums: for the eviction's memory at start. 10^6 records in well under a second.
    void each_blob(const std::function<void(const Digest&, std::uint64_t size, std::uint8_t volume, std::uint8_t flags)>& visit) const;
    void each_tag(const std::function<void(const std::string& repository, const std::string& tag, const TagRecord&)>& visit) const;

    /// Durable when it returns. Fault::storage when the disk refuses; nothing of the list is true then.
    Task<Result<void>> apply(std::vector<LedgerChange> changes);

    /// False when the last process did not end in order: files and ledger may then differ by what was in flight.
    bool ended_in_order() const noexcept;
    /// Blocking; at the end of the program.
    void mark_end_in_order() noexcept;

  private:
    struct Impl;
    explicit Ledger(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot
