#pragma once
// One life of a box: from start to an orderly end or a crash, among simulated clients and upstreams, with every checker. What survives it (the disks, the time, what
// upstream served so far, where tags point) goes from one process to the next as a Memory.

#include "plan.h"

#include <map>
#include <string>

namespace entrepot::sim {

struct Memory {
    std::map<std::string, std::string> disks;  ///< Disk::save()
    std::int64_t time_ns = 0;
    std::map<std::string, std::uint64_t> gets;    ///< by digest, of all lives
    std::map<std::string, std::uint64_t> rotten;  ///< files that a bit flipped in, on a disk and in a path; how often
    std::string tags;                             ///< Catalogue::save_tags()
    std::uint64_t history = 0;                    ///< hash of everything that happened
    std::map<std::string, std::uint64_t> counts;

    std::string save() const;
    static Memory load(std::string_view saved);
};

/// Runs life `number` of the plan in this process, in whose working directory the ledger lives. A failed checker prints and aborts.
Memory run_life(const Plan& plan, std::size_t number, const Memory& before, bool verbose);

}  // namespace entrepot::sim
