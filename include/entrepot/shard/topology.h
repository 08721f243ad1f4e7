#pragma once
// Which cores we may use and which NUMA node each belongs to, from sysfs (its root is a parameter, so that a machine with two nodes can be tested anywhere), and binding a thread and its
// memory to one of them.

#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

struct Core {
    int cpu = 0;
    int node = 0;  ///< 0 when the machine has one node or tells nothing
    friend bool operator==(const Core&, const Core&) = default;
};

/// The cores of `allowed` (sorted), each with its node as <sysfs>/devices/system/node/node*/cpulist says.
std::vector<Core> read_topology(const std::string& sysfs, const std::vector<int>& allowed);
/// The cores this process may run on (sched_getaffinity).
std::vector<int> allowed_cpus();
/// "0-3,8,10-11" to numbers; anything malformed ends the list there. At most 8192.
std::vector<int> parse_cpu_list(std::string_view text);

/// Which core each shard gets: cores in turn over the nodes, so that two shards on two nodes use both. More shards than cores wrap around.
std::vector<Core> place_shards(const std::vector<Core>& cores, unsigned shards);

/// Pins the calling thread to the core and prefers its node for memory from now on. False when the kernel refuses; the shard then runs unpinned.
bool bind_this_thread(const Core& core) noexcept;

}  // namespace entrepot
