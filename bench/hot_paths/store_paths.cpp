// What a look-up costs in the ledger, in a shard's memory and in the eviction's account, each among a few thousand blobs.

#include "entrepot/cache/hot_blobs.h"
#include "entrepot/io/blocking.h"
#include "entrepot/store/eviction.h"
#include "entrepot/store/ledger.h"

#include "finish.h"
#include "path.h"

#include <fmt/format.h>

#include <memory>

namespace entrepot::bench {
namespace {

constexpr unsigned blob_count = 2000;
constexpr unsigned times = 2000;  // operations of a round: each blob once
constexpr std::uint64_t blob_bytes = 10 * MiB;
const std::string repository = "docker.io/library/busybox";

Digest digest_of(unsigned number) { return Digest::of(std::as_bytes(std::span(&number, 1))); }

std::vector<Digest> all_digests() {
    std::vector<Digest> digests;
    for (unsigned number = 0; number < blob_count; ++number) digests.push_back(digest_of(number));
    return digests;
}

/// Goes through the digests again and again.
class NextDigest {
  public:
    const Digest& operator()() noexcept { return digests_[at_++ % blob_count]; }

  private:
    std::vector<Digest> digests_ = all_digests();
    unsigned at_ = 0;
};

// ---- ledger

std::vector<LedgerChange> records() {
    std::vector<LedgerChange> changes;
    for (unsigned number = 0; number < blob_count; ++number) {
        auto digest = digest_of(number);
        BlobRecord record;
        record.size = blob_bytes;
        record.created = 1'790'000'000;
        record.sums.assign(chunk_count(blob_bytes), number);
        changes.push_back(PutBlob{digest, std::move(record)});
        changes.push_back(PutGrant{"", repository, digest});
    }
    changes.push_back(PutTag{repository, "latest", {digest_of(0), "application/vnd.oci.image.manifest.v1+json", 2048, 0}});
    return changes;
}

/// Written once, by a loop of its own; reading needs none.
std::shared_ptr<Ledger> filled_ledger(const std::string& directory) {
    auto opened = Ledger::open({.directory = directory, .map_bytes = GiB});
    ASSERT(opened);
    std::shared_ptr<Ledger> ledger = *std::move(opened);
    auto ring = Ring::open({});
    ASSERT(ring);
    start_lanes();
    {
        Loop loop(*std::move(ring));
        auto applied = finish(loop, ledger->apply(records()));
        ASSERT(applied);
    }
    stop_lanes();
    return ledger;
}

void add_ledger(Paths& all, const std::string& directory) {
    auto ledger = filled_ledger(directory);
    all.push_back(path("ledger: find_blob, 40 sums, of 2,000", times, [ledger, next = NextDigest()]() mutable {
        auto record = ledger->find_blob(next());
        ASSERT(record);
        keep(*record);
    }));
    all.push_back(path("ledger: granted, of 2,000", times, [ledger, next = NextDigest()]() mutable {
        bool granted = ledger->granted("", repository, next());
        ASSERT(granted);
    }));
    all.push_back(path("ledger: find_tag", times, [ledger] {
        auto record = ledger->find_tag(repository, "latest");
        ASSERT(record);
        keep(*record);
    }));
}

// ---- a shard's memory

struct Memory {
    CacheCounters counters;
    HotBlobs blobs{{}, counters};
    NextDigest next;

    Memory() {
        for (unsigned number = 0; number < blob_count; ++number) insert(digest_of(number));
    }
    void insert(const Digest& digest) {
        auto blob = std::make_shared<HotBlob>(digest, 2048);
        blob->grant(1);
        blobs.insert(std::move(blob), Instant{0});
    }
};

void add_memory(Paths& all) {
    auto memory = std::make_shared<Memory>();
    all.push_back(path("hot blobs: find and grant, of 2,000", times, [memory] {
        auto found = memory->blobs.find(memory->next(), Instant{1});
        ASSERT(found && found->granted_to(1));
    }));
    all.push_back(path("hot blobs: forget, insert", times, [memory] {
        auto& digest = memory->next();
        memory->blobs.forget(digest);
        memory->insert(digest);
    }));
}

// ---- eviction

struct Account {
    Eviction eviction{{.capacity_bytes = blob_count * blob_bytes}};
    std::vector<EvictionEntry*> entries;
    unsigned at = 0;

    Account() {
        for (unsigned number = 0; number < blob_count; ++number)
            entries.push_back(eviction.insert(digest_of(number), blob_bytes));
    }
};

void add_eviction(Paths& all) {
    auto account = std::make_shared<Account>();
    all.push_back(path("eviction: pin, touch, unpin", times, [account] {
        auto& entry = *account->entries[account->at++ % blob_count];
        ASSERT(entry.pin());
        entry.touch();
        entry.unpin();
    }));
    auto trials = std::make_shared<Account>();  // of its own: its queues must not depend on how often the other was used
    all.push_back(path("eviction: victim, remove, insert, touch", times, [trials] {
        auto* victim = trials->eviction.victim();
        ASSERT(victim);
        auto digest = victim->digest;
        trials->eviction.remove(*victim);
        auto* entry = trials->eviction.insert(digest, blob_bytes);
        if (trials->at++ % 2) entry->touch();
    }));
}

}  // namespace

Paths store_paths(const std::string& scratch) {
    Paths all;
    add_ledger(all, scratch + "/ledger");
    add_memory(all);
    add_eviction(all);
    return all;
}

}  // namespace entrepot::bench
