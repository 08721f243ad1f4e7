#pragma once
// Takes cached content away at an operator's word, safely for everybody else: what a repository was granted goes, and a manifest or blob goes with it when no other
// repository was granted it. What is being read stays readable until it is let go; what is being fetched is a pull like any other, and comes. What was answered to its end before goes with the rest, though its
// records are still on their way to the disk: a purge waits for them first.
//
//   tags of the repository ──> pages of its grants ──> batches: one transaction, files, every shard's memory
//
// A crash in between leaves less to purge and nothing wrong: a batch's grants, records and blobs go in one transaction, before its files. Whoever asks for what went fetches
// it again. Reading happens on a lane, a batch is small, and one purge runs at a time: no shard and no ledger change waits for it longer than for a few milliseconds.

#include "entrepot/cache/cache.h"

namespace entrepot {

struct PurgeOrder {
    /// Whose content: repositories, each by the rights of a scope. A tag or a digest needs exactly one.
    std::vector<Holder> holders;
    /// Only this tag, and what of its image no other tag and no other manifest of the repository is made of.
    std::string tag;
    /// Only this content, with the tags that point to it; of a manifest also what no other one of the repository is made of.
    std::optional<Digest> digest;
    bool dry_run = false;  ///< counts, and takes nothing away
};

struct PurgeCount {
    std::uint64_t tags = 0, manifests = 0, blobs = 0, bytes = 0;
    std::uint64_t kept = 0;  ///< stored, but somebody else's as well: other repositories, other images of this one
};

class Purge {
  public:
    static constexpr std::size_t waiting_max = 16;       ///< purges; one more is refused with Code::busy
    static constexpr std::size_t grants_a_page = 32768;  ///< looked at by one job on a lane
    static constexpr std::size_t digests_a_batch = 64;   ///< that leave together
    static constexpr std::size_t tags_a_batch = 256;
    static constexpr std::size_t image_digests_max =
        200'000;  ///< of one image, and of what keeps parts of it: beyond, Code::too_large
    static constexpr Duration records_wait_max = seconds(30);  ///< for what was answered and is not in the ledger yet

    Purge(CacheTeam& team, Store& store) noexcept : team_(team), store_(store) {}

    /// Until the ledger knows all that was answered before: whoever asks it for the holders of an order calls this first. Fault::storage with Code::timeout past
    /// `records_wait_max`.
    Task<Result<void>> until_recorded();
    /// Waits likewise, then begins. Fault::storage when the ledger refuses a batch: what went before is gone; with Code::timeout nothing went.
    Task<Result<PurgeCount>> run(PurgeOrder order);
    /// Shutdown: what runs ends after its batch, with Fault::shutdown, and so does every later run().
    void interrupt() noexcept { stopping_ = true; }

  private:
    struct Plan;

    Task<Result<PurgeCount>> run_alone(const PurgeOrder& order);
    Task<Result<void>> purge_tags(const PurgeOrder& order, PurgeCount& count);
    Task<Result<void>> purge_all(const PurgeOrder& order, const HolderSet& holders, PurgeCount& count);
    Task<Result<void>> purge_image(const PurgeOrder& order, const HolderSet& holders, PurgeCount& count);
    Task<Result<void>> remove_tags(std::vector<LedgerChange> changes, bool dry_run);
    Task<Result<void>> release(std::vector<GrantedDigest> granted, const HolderSet& holders, bool dry_run, PurgeCount& count);
    Task<Result<void>> release_batch(std::vector<GrantedDigest> batch, const HolderSet& holders, bool dry_run, PurgeCount& count);
    Task<Result<Plan>> plan_image(const PurgeOrder& order, const HolderSet& holders);
    Task<void> forget(const std::vector<Digest>& digests);
    Task<void> forget_tags(const PurgeOrder& order);

    CacheTeam& team_;
    Store& store_;
    Semaphore turn_{1, waiting_max};
    bool stopping_ = false;
};

/// Every repository that `rule` could have brought content for, as the ledger knows them; `scope` is the rule's. Blocking reads: for a lane.
std::vector<Holder> holders_under(const Ledger& ledger, const std::string& scope, std::string_view source, bool wildcard);

}  // namespace entrepot
