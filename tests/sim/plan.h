#pragma once
// Everything a seed decides about a run before it starts: what the box looks like, what there is to ask for, what fails, and how each of its lives ends.

#include "catalogue.h"
#include "client_sim.h"
#include "faults.h"
#include "registry_sim.h"

#include <vector>

namespace entrepot::sim {

struct Life {
    bool crashes = false;
    Duration crash_after{};
    std::uint64_t crash_at_disk_step = UINT64_MAX;  ///< right after that many effects on disks and ledger
};

struct Plan {
    std::uint64_t seed = 0;
    std::uint64_t catalogue_seed = 0;
    unsigned shards = 1;
    bool healthy = false;  ///< nothing fails: every request must succeed, and every digest is fetched once
    bool roomy = true;     ///< the store takes everything there is
    std::uint64_t disk_bytes = 0, capacity_bytes = 0;
    std::vector<std::string> volumes;  ///< empty: the store's directory is the only one
    double rot = 0;                    ///< per stored file and opportunity: one bit of it flips on the disk
    Duration scrub_period{0};          ///< 0: what rots is found only when somebody asks for it
    bool purges = false;               ///< an operator takes content away now and then
    bool read_only_spells = false;     ///< now and then a disk takes nothing for a while
    Duration tag_ttl = seconds(60);
    std::size_t buffers = 8;  ///< of a shard, for fills and cold reads
    unsigned provided_buffers = 32;
    Faults faults;
    UpstreamFaults upstream;
    ClientOptions clients;
    Catalogue::Options catalogue;
    std::vector<Life> lives;

    /// Relative, so that a run does not depend on where it happens.
    static constexpr const char* store_path = "store";

    static Plan draw(std::uint64_t seed);
    /// A small life among healthy parts that ends with its n-th effect on the disk or the ledger, and one that finds what is left.
    static Plan crash_at(std::uint64_t seed, std::uint64_t disk_step);
    std::vector<std::string> disk_paths() const;
    Excuses excuses() const;
    bool disk_may_fail() const;
};

}  // namespace entrepot::sim
