#pragma once
// The Store behind store.h. One file for each of its duties:
//
//   store.cpp        open, start and stop; opening blobs; small questions
//   writing.cpp      begin, and how a writer ends: publish, keep, drop
//   judging.cpp      whether a stored file still is what its name says
//   room.cpp         capacity: who leaves so that something can come
//   leaving.cpp      how a stored blob goes: evicted, removed, quarantined
//   probe.cpp        disks that refused get another chance
//   scrub.cpp        reads what nobody asks for
//   sweep.cpp        what lies on the volumes and the ledger does not know
//   index_json.cpp   the tags in each volume's index.json
//
// The owner's loop (the one that start() ran on) owns the eviction, the table of stored blobs and the sets of digests below. Everything else either is an atomic
// account or hops there. A digest is in at most one of these: the table, writing_, busy_; whoever wants to write waits until it is in none.

#include "entrepot/store/eviction.h"
#include "entrepot/store/store.h"
#include "store/blob_table.h"
#include "store/capacity.h"
#include "store/ghost_table.h"
#include "store/partials.h"
#include "store/volume.h"

#include <deque>
#include <unordered_set>

namespace entrepot {

class ChunkReader;
class FileBlobWriter;

class Warehouse final : public Store {
  public:
    static constexpr std::size_t volumes_max = 64;
    static constexpr std::size_t quarantined_max = 16;
    static constexpr std::size_t reservers_max = 1024;        ///< tasks waiting for room; one more is refused with no_space
    static constexpr std::size_t verifiers_max = 4;           ///< whole-blob verifications at a time
    static constexpr std::size_t touches_in_flight_max = 64;  ///< hints on their way to the owner; more are dropped
    static constexpr std::size_t touched_digests_max = 512;   ///< of one hint
    static constexpr unsigned direct_files_max =
        256;  ///< open at a time, of those the process keeps in reserve; further blobs are read through memory
    static constexpr std::uint64_t past_memory_bytes_min = MiB;  ///< of a blob whose bytes may be written past the page cache
    static constexpr std::uint32_t opened_names_max = 1u << 16;
    static constexpr std::size_t corrected_max =
        1024;  ///< digests remembered whose sums were wrong in the ledger; then all are forgotten

    static constexpr std::size_t walkers_max = 16;     ///< tasks that work off a list of names
    static constexpr unsigned scrub_failures_max = 3;  ///< blobs in a row; then the volume is left alone for the rest of the pass

    explicit Warehouse(const Options& options);
    ~Warehouse() override;
    /// Blocking: directories, locks, ledger. The error is one line for the operator.
    Result<void, std::string> open_roots();

    Task<Result<void>> start() override;
    Task<void> stop() override;
    Ledger& ledger() noexcept override { return *ledger_; }
    Task<Result<BlobRef>> open(const Digest& digest) override;
    Task<Result<std::unique_ptr<BlobWriter>>> begin(const Digest& digest, std::optional<std::uint64_t> length,
                                                    Digester& resumed) override;
    bool takes_blobs() const noexcept override;
    std::vector<const DiskHealth*> disks() const override;
    std::uint64_t partial_bytes(const Digest& digest) const noexcept override { return partials_.resumable_bytes(digest); }
    void set_pressure_relief(std::function<Task<void>()> relief) override { relief_ = std::move(relief); }
    Task<void> quarantine(const Digest& digest) override;
    Task<Result<void>> remove(const Digest& digest) override;
    Task<Result<std::vector<Digest>>> discard(std::vector<Digest> digests, std::vector<LedgerChange> changes) override;
    void touch(const std::vector<Digest>& digests) noexcept override;
    const Counters& counters() const noexcept override { return counters_; }

    // For writers, on any loop.

    /// How much is reserved at a time when nobody knows the length.
    std::uint64_t unknown_length_step() const noexcept;
    /// Takes bytes from the account, evicting what must go. `volume` says where a full disk wants them, nullptr that only the account does.
    Task<Result<void>> reserve(std::uint64_t bytes);
    /// The disk is full although the account is not: evicts about that much from one volume.
    Task<Result<void>> make_disk_room(Volume& volume, std::uint64_t bytes);
    /// A published file becomes findable: its record together with `changes`, then its entry, which comes back pinned.
    Task<Result<EvictionEntry*>> admit(const Digest& digest, const BlobRecord& record, std::vector<LedgerChange> changes);
    /// The writer's digest is free for the next one. `kept`: what it left for a resume.
    Task<void> end_writing(const Digest& digest, std::optional<KeptPartial> kept);
    /// Removes a blob's file; false when it is still there. It takes its space until the next start, which looks for it.
    Task<bool> remove_file(Volume& volume, const Digest& digest);
    /// Removes a partial file and its sums. False when the file could not be removed.
    Task<bool> unlink_partial(const Volume& volume, const Digest& digest);
    void note_write_error(Volume& volume, const char* what, int error) noexcept;
    /// With O_DIRECT; nothing when too many are open, or the file system does not know it.
    Task<DirectFile> open_past_memory(int directory, const std::string& name, std::uint32_t flags);

  private:
    struct Leaving {
        EvictionEntry* entry;
        Volume* volume;  // nullptr: its volume is lost, only the record goes
    };
    /// An entry that is ours while we hold its pin; nullptr: not stored.
    struct Found {
        EvictionEntry* entry = nullptr;
        bool opened_lately = false;
    };
    struct Quarantined {
        std::string name;
        Volume* volume;
        std::uint64_t charged_bytes;
    };
    struct Stray {
        Digest digest;
        BlobRecord record;
    };
    struct TouchHint;
    struct Walk;

    // Hops. Each runs `function` on the owner's loop, directly when we are there; the value must not be void.
    template <typename Function>
    auto call_owner(Function& function) -> Task<decltype(function())> {
        if (&Loop::current() == owner_) co_return function();
        auto value = co_await call_on(*owner_, function);
        co_return value;
    }
    template <typename Function>
    auto run_at_owner(Function& function) -> Task<decltype(function().await_resume())> {
        if (&Loop::current() == owner_) {
            auto value = co_await function();
            co_return value;
        }
        auto value = co_await run_on(*owner_, function);
        co_return value;
    }

    // store.cpp
    Task<Result<void>> prepare_volumes();
    Task<Result<void>> assign_index(Volume& volume);
    void set_capacity_limit();
    void load_entries();
    void run_touch(TouchHint& hint) noexcept;
    Found find_and_pin(const Digest& digest) noexcept;
    Task<Result<BlobRef>> open_pinned(const Digest& digest, Found found);
    Task<DirectFile> open_directly(const Digest& digest, const BlobRecord& record, int file, bool opened_lately);
    Task<Result<int>> open_stored(const Digest& digest, const BlobRecord& record, std::uint32_t flags = 0);
    Volume* volume_of(std::uint8_t index) const noexcept { return by_index_[index]; }
    bool all_take_writes() const noexcept;
    std::uint64_t bytes_accounted() const noexcept;
    Task<void> make_removals_durable();
    Task<void> maintain();
    Task<void> warm_ledger();
    Task<Result<void>> save_trials();

    // judging.cpp
    struct Contents {
        bool right = false;  // the digest is its name's
        std::vector<std::uint64_t> sums;
    };
    Task<Result<std::unique_ptr<ChunkReader>>> open_reader(const Digest& digest, const BlobRecord& record, ReadVia via);
    bool note_refused(const ChunkReader& reader, const Error& error) noexcept;
    Task<Result<Contents>> read_contents(const Digest& digest, const BlobRecord& record, ReadVia via, bool in_passing);
    Task<void> make_way(Duration read_took);
    Task<void> save_sums(const Digest& digest, std::vector<std::uint64_t> sums);
    Task<Result<BlobRecord>> verify_stored(const Digest& digest);
    Task<Result<BlobRecord>> sum_stored(const Digest& digest, BlobRecord record);
    Task<bool> judge(const Digest& digest);
    Task<bool> is_whole(const Digest& digest, const BlobRecord& record);
    Task<void> correct_sums(const Digest& digest, const BlobRecord& record, std::vector<std::uint64_t> sums);

    // scrub.cpp
    enum class Verdict : std::uint8_t {
        right,
        wrong,       // it goes
        unreadable,  // it goes too, as long as its disk gives others
        later,       // nothing was learned
    };
    Task<void> scrub();
    Task<void> save_scrub();
    Task<std::uint64_t> scrub_some();
    void end_scrub_pass() noexcept;
    Task<std::uint64_t> scrub_blob(Digest digest, std::uint64_t bytes_max);
    void note_verdict(const Digest& digest, const BlobRecord& record, Verdict verdict) noexcept;
    Task<Verdict> scrub_pinned(const Digest& digest, const BlobRecord& record, std::uint64_t first, std::uint64_t bytes_max,
                               std::uint64_t& cost);
    Task<Verdict> compare_sums(const Digest& digest, const BlobRecord& record, std::uint64_t first, std::uint64_t bytes_max,
                               std::uint64_t& cost);
    Task<Verdict> scrub_whole(const Digest& digest, const BlobRecord& record, std::uint64_t& cost);
    static Verdict verdict_of(const Error& error) noexcept;

    // writing.cpp
    /// Keeps the digest for one writer; what was kept of it goes to that writer.
    struct Claim {
        std::optional<KeptPartial> kept;
        bool wanted_lately = false;  // opened or fetched
    };
    Task<Result<Claim>> claim(const Digest& digest);
    Task<Result<std::unique_ptr<FileBlobWriter>>> start_writer(const Digest& digest, std::optional<std::uint64_t> length,
                                                               Digester& resumed, Volume& volume, Reservation& reservation,
                                                               std::optional<KeptPartial>& kept);
    Task<void> give_up_kept(std::optional<KeptPartial>& kept);
    Task<Result<int>> open_partial(Volume& volume, const std::string& name, std::uint32_t flags);
    Task<Result<void>> allocate(Volume& volume, int file, std::uint64_t length);
    bool release_claim(const Digest& digest, const std::optional<KeptPartial>& kept);
    Task<Result<EvictionEntry*>> admit_at_owner(const Digest& digest, std::uint64_t size);

    // room.cpp
    Task<Result<void>> make_room(std::uint64_t bytes);
    Task<Result<void>> make_room_in_turn(std::uint64_t bytes);
    Task<Result<std::uint64_t>> evict_from(Volume* volume, std::uint64_t bytes);
    Task<std::uint64_t> evict(std::uint64_t bytes, Volume* only);
    Task<std::uint64_t> evict_blobs(std::uint64_t bytes, Volume* only);
    std::vector<Leaving> choose_victims(std::uint64_t bytes, Volume* only);
    Task<void> trim();

    // leaving.cpp
    Task<void> drop_records(const std::vector<Leaving>& leaving);
    Task<void> unlink_one(Leaving leaving);
    /// `only`: the entry that it must be; nullptr: whichever.
    Task<bool> take_out(const Digest& digest, bool to_quarantine, const EvictionEntry* only = nullptr);
    struct Discarding;
    Task<Result<std::vector<Digest>>> discard_at_owner(std::vector<Digest>& digests, std::vector<LedgerChange>& changes);
    Task<void> unlink_discarded(Discarding discarding);
    void put_back(const Discarding& discarding);
    Task<bool> remove_at_owner(const Digest& digest);
    Task<bool> move_to_quarantine(const Digest& digest, Volume& volume, std::uint64_t charged_bytes);
    Task<std::uint64_t> drop_oldest_quarantined(Volume* only);
    Task<std::uint64_t> drop_partial(KeptPartial partial);
    Task<void> drop_as_task(KeptPartial partial);
    void keep_partial(const KeptPartial& partial);
    void forget_entry(EvictionEntry& entry) noexcept;

    // probe.cpp
    Task<void> watch_disks();
    Task<void> probe(Volume& volume);
    Task<int> try_to_write(Volume& volume);
    Task<void> probe_ledger();

    // sweep.cpp
    Task<bool> scan_partials(Volume& volume, std::size_t names_max, std::size_t walkers_count);
    Task<void> scan_other_partials(Volume& volume);
    Task<void> scan_some_partials(Walk& walk);
    Task<bool> scan_partial(Volume& volume, const Digest& digest);
    Task<bool> keep_and_trim(KeptPartial kept);
    Task<KeptPartial> look_at_partial(Volume& volume, const Digest& digest);
    Task<void> scan_quarantine(Volume& volume);
    Task<void> sweep();
    Task<bool> sweep_directory(Volume& volume, DigestAlgorithm algorithm);
    Task<void> sweep_some(Walk& walk);
    Task<void> look_at(Walk& walk, const Digest& digest);
    Task<void> adopt(Walk& walk);

    // index_json.cpp
    static constexpr std::size_t restored_manifests_max = 1024;  // of one tag: an index and its children
    Task<void> restore_manifest(const std::string& repository, Digest digest, std::string media_type,
                                std::unordered_set<Digest, DigestHash>& seen, std::vector<LedgerChange>& changes);
    Task<std::string> read_manifest(Digest digest);
    Task<void> write_index();
    Task<void> read_tags();

    Options options_;
    int directory_ = -1;  // the store's own, locked; a volume owns its root besides
    std::unique_ptr<Ledger> ledger_;
    std::vector<std::unique_ptr<DiskHealth>> health_;  // of each configured volume, used or not
    std::vector<std::unique_ptr<Volume>> volumes_;
    std::vector<VolumeRecord> known_volumes_;  // as the ledger had them at start
    std::array<Volume*, 256> by_index_{};
    Loop* owner_ = nullptr;
    Capacity capacity_;
    Partials partials_;
    Counters counters_;
    std::function<Task<void>()> relief_;
    std::atomic<std::size_t> touches_in_flight_{0};
    std::atomic<unsigned> direct_files_{0};
    std::atomic<bool> leaves_strays_{false};  // a removal failed or may not be durable: the next start looks for strays

    // Owner's loop only.
    std::unique_ptr<Eviction> eviction_;
    BlobTable table_;
    GhostTable opened_;                                 // names of blobs by when they were opened last
    std::unordered_set<Digest, DigestHash> writing_;    // a writer has it
    std::unordered_set<Digest, DigestHash> busy_;       // on its way out, or being adopted
    std::unordered_set<Digest, DigestHash> summing_;    // stored, being hashed as a whole
    std::unordered_set<Digest, DigestHash> corrected_;  // whose sums were wrong in the ledger
    bool direct_refused_ = false;                       // a file system knows no reads past memory
    std::deque<Quarantined> quarantined_;               // oldest first
    ScrubRecord scrub_;                                 // where it is
    std::array<unsigned, 256> scrub_failures_{};        // by a volume's number: blobs in a row that its disk did not give
    Condition changed_;                                 // a digest left writing_, busy_ or the table
    Condition woken_;                                   // for maintain()
    Semaphore room_{1, reservers_max};
    Semaphore verifying_{verifiers_max, reservers_max};
    TaskGroup background_;
    bool started_ = false;
    bool stopping_ = false;
    bool swept_ = true;
    std::uint64_t unremoved_bytes_ = 0;  // of files that could not be removed and still take their space
    std::uint64_t index_version_ = 0;    // tags_version() that index.json shows
    bool index_pending_ = false;         // the last write of index.json failed, or tags were taken from it
};

}  // namespace entrepot
