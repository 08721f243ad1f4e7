#pragma once
// What we know, in one LMDB file (<store>/ledger/): blobs, manifests, tags, which repositories a digest was granted to, and settings made at run time. Reading is lock-free from any thread
// and never waits for a writer; changes go through the ledger lane, which commits what is waiting in one transaction (group commit, durable when it returns).
// The one file that includes <lmdb.h> is src/store/ledger.cpp. Records carry a version byte; a newer one than we know is refused at open, never deleted.
//
// A read that misses the page cache faults on the reader's thread, for as long as one disk read takes; warm() at start makes that rare. A page that the disk cannot
// read ends the process (SIGBUS on the map); the volumes rebuild a ledger that was removed. Group commit: the first task
// that waits leads, its lane job commits every list that is waiting by then, and it hands the lead to the oldest that came meanwhile.

#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/oci/digest.h"
#include "entrepot/store/disk_health.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace entrepot {

/// Stored blobs are summed in chunks of this size (XXH3-64); the last chunk may be shorter.
constexpr std::uint64_t chunk_bytes = 256 * KiB;

constexpr std::uint64_t chunk_count(std::uint64_t size) noexcept { return (size + chunk_bytes - 1) / chunk_bytes; }

struct BlobRecord {
    std::uint64_t size = 0;
    std::uint8_t volume = 0;   ///< index of a VolumeRecord
    std::uint8_t flags = 0;    ///< bit 0: survived the eviction's trial, see eviction.h
    std::int64_t created = 0;  ///< wall seconds
    std::vector<std::uint64_t>
        sums;  ///< one per chunk; none (of a blob that has chunks): found on a volume, its digest not verified yet

    bool verified() const noexcept { return sums.size() == chunk_count(size); }
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

/// A volume this ledger has blobs on. The id lies in the volume itself, so a record finds its blob again when paths change.
struct VolumeRecord {
    std::uint8_t index = 0;
    std::uint64_t id = 0;
    std::string path;     ///< where it was last seen
    bool present = true;  ///< at the last start
};

// Bounds of what a record holds: a list with a larger one is refused with Fault::policy Code::too_large.
constexpr std::size_t tag_key_bytes_max = 510;  ///< repository and tag together; LMDB keys have 511 bytes
constexpr std::size_t media_type_bytes_max = 255;
constexpr std::size_t references_max = 65536;
constexpr std::size_t setting_key_bytes_max = 255;
constexpr std::size_t setting_text_bytes_max = 1 * MiB;

// One change; apply() makes a list of them true together or not at all.
struct PutBlob {
    Digest digest;
    BlobRecord record;
};
/// With what hangs on it: its sums, its manifest record, its grants, and of what the manifest references and nobody stored the grants that came with it. A blob that comes
/// back is granted again by the fetch that brings it.
struct RemoveBlob {
    Digest digest;
};
/// Changes nothing but the flags; no change when the blob is not there.
struct MarkBlob {
    Digest digest;
    std::uint8_t flags = 0;
};
/// Changes nothing but the sums; no change when the blob is not there.
struct PutSums {
    Digest digest;
    std::vector<std::uint64_t> sums;
};
struct PutManifest {
    Digest digest;
    ManifestRecord record;
};
struct PutTag {
    std::string repository, tag;
    TagRecord record;
};
struct RemoveTag {
    std::string repository, tag;
};
/// `scope` says by whose rights upstream gave it: "" anonymous, else the credential set's name.
struct PutGrant {
    std::string scope, repository;
    Digest digest;
    std::uint64_t told_bytes = 0;  ///< how long the manifest that references it says it is; 0: nobody said
    std::string platform =
        {};  ///< of a manifest, as the index that names it says, or its config; empty: what was said before stays
};
/// Only that one; the blob stays, whoever else it was granted to.
struct RemoveGrant {
    std::string scope, repository;
    Digest digest;
};
struct PutVolume {
    VolumeRecord record;
};
/// Something the operator said at run time, as text whose meaning others know. Unlike all else here the volumes cannot rebuild it.
struct PutSetting {
    std::string key, text;
};
struct RemoveSetting {
    std::string key;
};
/// How far the scrub is (store.h): its pass goes through the blobs in the order of their keys.
struct ScrubRecord {
    std::optional<Digest> at;       ///< the blob that it looked at last; none: the pass begins
    std::uint64_t next_chunk = 0;   ///< of `at`; UINT64_MAX: that blob is done
    std::int64_t pass_started = 0;  ///< wall seconds; 0: not yet
    std::int64_t pass_ended = 0;    ///< of the last whole pass
};
struct PutScrub {
    ScrubRecord record;
};
/// The volumes were walked: what they held is in the ledger.
struct EndRebuild {};
using LedgerChange = std::variant<PutBlob, RemoveBlob, MarkBlob, PutSums, PutManifest, PutTag, RemoveTag, PutGrant, RemoveGrant,
                                  PutVolume, PutSetting, RemoveSetting, PutScrub, EndRebuild>;

/// Whom digests are granted to: a repository, by the rights of a scope.
struct Holder {
    std::string scope, repository;

    friend bool operator==(const Holder&, const Holder&) = default;
};

/// Holders that somebody asks about, each once.
class HolderSet {
  public:
    void add(Holder holder);
    const std::vector<Holder>& all() const noexcept { return holders_; }

  private:
    friend class Ledger;
    std::vector<Holder> holders_;
    std::unordered_map<std::string, std::size_t> places_;  // by the part of a grant's key that stands for the holder
};

/// A digest that some of a HolderSet were granted.
struct GrantedDigest {
    Digest digest;
    std::vector<std::size_t> holders;  ///< places in HolderSet::all()
    bool granted_to_others = false;
};
struct GrantPage {
    std::vector<GrantedDigest> digests;
    std::string next;  ///< where the next page begins; empty: there is none
};

constexpr std::size_t told_platform_bytes_max = 100;

class Ledger {
  public:
    struct Options {
        std::string directory;               ///< made when missing, mode 0700
        std::uint64_t map_bytes = 64 * GiB;  ///< address space, not disk
    };

    /// The error is one line for the operator.
    static Result<std::unique_ptr<Ledger>, std::string> open(const Options& options);
    ~Ledger();

    std::optional<BlobRecord> find_blob(const Digest& digest) const;
    /// Without its sums: of one small size whatever the blob's.
    std::optional<BlobRecord> find_blob_head(const Digest& digest) const;
    std::uint64_t blob_count() const;
    /// The first blob behind `last` in the order of keys, or of all.
    std::optional<Digest> next_blob(const std::optional<Digest>& last) const;
    ScrubRecord scrub() const;
    std::optional<ManifestRecord> find_manifest(const Digest& digest) const;
    bool is_manifest(const Digest& digest) const;
    std::optional<TagRecord> find_tag(const std::string& repository, const std::string& tag) const;
    bool granted(const std::string& scope, const std::string& repository, const Digest& digest) const;
    /// What the grant tells of the digest's length, if it does. A claim of the manifest's author, no fact.
    std::optional<std::uint64_t> told_bytes(const std::string& scope, const std::string& repository, const Digest& digest) const;
    /// The platform that a grant tells of a manifest; empty: nobody said.
    std::string told_platform(const std::string& scope, const std::string& repository, const Digest& digest) const;
    bool granted_to_anybody(const Digest& digest) const;
    /// Every holder whose repository begins with `prefix`, in no order. A ledger of an earlier version knows those that were granted something since.
    std::vector<Holder> list_holders(std::string_view prefix) const;
    /// Of all grants, those of `wanted`, a page at a time: each call looks at about `looks_max` grants, from GrantPage::next of the last call on ("" at first). All grants of
    /// a digest are on one page.
    GrantedDigest grants_of(const HolderSet& wanted, const Digest& digest) const;
    GrantPage list_grants(const HolderSet& wanted, const std::string& from, std::size_t looks_max) const;
    /// Tags of a repository in lexical order, after `last`, at most `count_max`.
    std::vector<std::string> list_tags(const std::string& repository, const std::string& last, std::size_t count_max) const;
    /// The same with what they point to.
    std::vector<std::pair<std::string, TagRecord>> list_tag_records(const std::string& repository, const std::string& last,
                                                                    std::size_t count_max) const;
    /// Repositories that have tags, in lexical order, after `last`.
    std::vector<std::string> list_repositories(const std::string& last, std::size_t count_max) const;
    /// Every blob, without sums, the oldest first: for the eviction's memory at start. 10^6 records in well under a second. `visit` must not change the ledger.
    void each_blob(
        const std::function<void(const Digest&, std::uint64_t size, std::uint8_t volume, std::uint8_t flags)>& visit) const;
    void each_tag(
        const std::function<void(const std::string& repository, const std::string& tag, const TagRecord&)>& visit) const;

    std::vector<VolumeRecord> volumes() const;
    /// In the order of their keys.
    void each_setting(const std::function<void(std::string_view key, std::string_view text)>& visit) const;
    /// Grows with each change of what a tag points to and of which manifests are stored; not when only a tag's `checked` moves.
    std::uint64_t tags_version() const noexcept;

    /// Durable when it returns. Fault::storage when the disk or the map has no room (no_space) or fails (io_failed); nothing of the list is true then.
    /// Where there is no room, or the file system is read-only, nothing was harmed and the next list is tried. After any other failure the ledger takes no more changes:
    /// what the kernel holds of the file cannot be trusted to reach the disk. What was true can still be read.
    Task<Result<void>> apply(std::vector<LedgerChange> changes);
    /// Lists of changes committed, and transactions that took: their ratio is what group commit saves. Any thread.
    struct Commits {
        std::uint64_t lists = 0, transactions = 0;
    };
    Commits commits() const noexcept;
    /// How the disk took the last changes. Closed when no more are taken until a restart. Any thread.
    DiskHealth& health() const noexcept;

    /// Blocking: asks the kernel to read the file ahead into the page cache.
    void warm() const noexcept;

    /// True from the ledger's making until EndRebuild was applied: the volumes may hold blobs that it does not know.
    bool wants_rebuild() const noexcept;

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
