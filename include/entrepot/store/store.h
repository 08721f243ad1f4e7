#pragma once
// Volumes, ledger and capacity as one noun: the warehouse. It knows digests and bytes, no repository's meaning, no upstream. One Store serves every shard; its
// functions may be called on any of them, and hop to the loop that owns the capacity where they must.
//
//   <volume>/oci-layout, index.json, blobs/<algorithm>/<hex>     a valid OCI image layout (index.json carries the tags)
//   <volume>/.entrepot/{partial,quarantine}/                      ours
//
// Capacity is a promise: begin() reserves before a byte is fetched, eviction makes room, and what cannot fit is refused with Code::no_space (the cache then streams it
// without storing). Pinned, open and in-flight blobs are never evicted.

#include "entrepot/store/blob_file.h"
#include "entrepot/store/blob_writer.h"
#include "entrepot/store/disk_health.h"
#include "entrepot/store/ledger.h"

namespace entrepot {

class Store {
  public:
    struct Options {
        std::string directory;  ///< ledger, and the first volume unless volumes are named
        std::vector<std::string> volumes;
        std::uint64_t capacity_bytes = 0;  ///< 0: capacity_percent of the volumes' file systems
        unsigned capacity_percent = 80;
        std::size_t partials_max = 256;  ///< kept for a resume; the oldest goes first
        Duration partial_age_max = std::chrono::hours(24);
        std::uint64_t unknown_length_bytes = 64 * MiB;  ///< reserved at a time when upstream tells no length
        std::uint64_t ledger_map_bytes = 64 * GiB;      ///< address space, not disk
        /// Of the machine. A cold blob that is opened again before others of so many bytes were is worth the page cache; others are read past it. 0: none are.
        std::uint64_t memory_bytes = 0;
        /// In which the scrub reads everything that is stored once, so that what rots while nobody asks for it is found before upstream is gone. 0: it does not.
        Duration scrub_period{0};
    };
    struct Counters {  ///< read from any thread
        std::atomic<std::uint64_t> bytes{0}, capacity_bytes{0}, blobs{0}, evictions{0}, evicted_bytes{0}, quarantined{0},
            corrected{0}, write_errors{0}, partial_bytes{0}, scrubbed_blobs{0}, scrubbed_bytes{0}, scrub_damaged{0};
        std::atomic<std::uint64_t> scrub_pass_ended{0};  ///< wall seconds of the last whole pass; 0: none yet
    };

    /// Blocking, before the shards run. Takes flock on the directory: the error names the other server when there is one.
    static Result<std::unique_ptr<Store>, std::string> open(const Options& options);
    virtual ~Store() = default;

    /// Once, on the loop that shall own capacity and eviction (shard 0), before any other call: loads the eviction's memory. After an unclean end, with a new or returned
    /// volume, or without a ledger, blobs on the volumes that the ledger does not know are adopted in the background; their digests are verified before they are served.
    virtual Task<Result<void>> start() = 0;
    /// Waits for background work, writes index.json, marks the ledger. No other call may be running, and every BlobRef and BlobWriter is gone.
    virtual Task<void> stop() = 0;

    virtual Ledger& ledger() noexcept = 0;

    /// A published blob, opened; Code::not_found when there is none. A ledger record whose file is missing or has another size is removed on the way.
    virtual Task<Result<BlobRef>> open(const Digest& digest) = 0;

    /// Starts, or resumes, writing. `length` is what upstream promised, if it did. When a kept partial file of this digest has a trustworthy prefix, `resumed`
    /// is fed with that prefix (hashing it) and written() says how long it is. Fault::capacity Code::no_space when no room can be made; Fault::storage when the disk refuses,
    /// or refused lately (disk_health.h).
    /// A digest has one writer at a time: Code::busy for the second. When the blob is stored already it is removed first: who writes it again has found it bad.
    /// A resumed prefix is never the whole blob: at least its last chunk is left to fetch.
    virtual Task<Result<std::unique_ptr<BlobWriter>>> begin(const Digest& digest, std::optional<std::uint64_t> length,
                                                            Digester& resumed) = 0;

    /// False while no disk takes new blobs, or the ledger no records: begin() would refuse. Any thread, no I/O.
    virtual bool takes_blobs() const noexcept = 0;
    /// How every configured volume, and last the ledger, takes what is written. Any thread; they live as long as the store.
    virtual std::vector<const DiskHealth*> disks() const = 0;

    /// At most how many bytes a kept partial file of this digest could give a resume; 0 when there is none. Any thread, no I/O.
    virtual std::uint64_t partial_bytes(const Digest& digest) const noexcept = 0;
    /// Who can let go of idle open blobs (descriptor caches pin what they hold). Called and awaited on the owner's loop before a reservation is refused.
    virtual void set_pressure_relief(std::function<Task<void>()> relief) = 0;

    /// A reader found the blob damaged: bytes that differ from their sum, or that the disk does not give. Hashes the whole; unless its digest is right it goes out of sight:
    /// ledger record gone, file moved to quarantine (at most 16 kept). When the sums were what was wrong they are corrected, and it stays. Open descriptors stay valid, but
    /// whoever has the blob open opens it again.
    virtual Task<void> quarantine(const Digest& digest) = 0;
    /// Removes a blob if nobody uses it.
    virtual Task<Result<void>> remove(const Digest& digest) = 0;
    /// Takes blobs out of the store, used or not, together: `changes` and the removal of their records are one transaction, then their files go. Who has one open keeps
    /// reading, since bytes live as long as a descriptor does. What is not stored, being written, or on its way out already is passed over; kept partial files go. Yields
    /// what left. Fault::storage when the ledger refuses: nothing has changed then.
    virtual Task<Result<std::vector<Digest>>> discard(std::vector<Digest> digests, std::vector<LedgerChange> changes) = 0;
    /// Tells the eviction that these blobs were asked for together with something that was used (an image's layers when its manifest was served).
    virtual void touch(const std::vector<Digest>& digests) noexcept = 0;

    virtual const Counters& counters() const noexcept = 0;
};

}  // namespace entrepot
