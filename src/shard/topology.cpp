#include "entrepot/shard/topology.h"

#include <fmt/format.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>

namespace entrepot {
namespace {

constexpr int cpus_max = 8192;
// Not CPU_ALLOC: where there is no memory that is a null pointer to write to.
using CpuSet = std::array<cpu_set_t, cpus_max / CPU_SETSIZE>;
constexpr int nodes_max = 1024;

}  // namespace

std::vector<int> parse_cpu_list(std::string_view text) {
    std::vector<int> cpus;
    const char* at = text.data();
    const char* end = at + text.size();
    while (at < end) {
        int first = 0;
        auto parsed = std::from_chars(at, end, first);
        if (parsed.ec != std::errc() || first < 0) break;
        at = parsed.ptr;
        int last = first;
        if (at < end && *at == '-') {
            parsed = std::from_chars(at + 1, end, last);
            if (parsed.ec != std::errc() || last < first) break;
            at = parsed.ptr;
        }
        if (last >= cpus_max || cpus.size() + static_cast<std::size_t>(last - first) >= cpus_max) break;
        for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
        if (at >= end || *at != ',') break;
        ++at;
    }
    return cpus;
}

std::vector<Core> read_topology(const std::string& sysfs, const std::vector<int>& allowed) {
    std::map<int, int> node_of;
    for (int node = 0; node < nodes_max; ++node) {
        std::ifstream file(fmt::format("{}/devices/system/node/node{}/cpulist", sysfs, node));
        std::string line;
        if (!std::getline(file, line)) continue;
        for (int cpu : parse_cpu_list(line)) node_of[cpu] = node;
    }
    std::vector<Core> cores;
    for (int cpu : allowed) {
        auto known = node_of.find(cpu);
        cores.push_back({cpu, known == node_of.end() ? 0 : known->second});
    }
    return cores;
}

std::vector<int> allowed_cpus() {
    // The kernel wants a mask at least as large as its own; sysconf may say less.
    std::vector<int> cpus;
    CpuSet mask{};
    if (::sched_getaffinity(0, sizeof mask, mask.data()) != 0) return {0};
    for (int cpu = 0; cpu < cpus_max; ++cpu) {
        if (CPU_ISSET_S(static_cast<std::size_t>(cpu), sizeof mask, mask.data())) cpus.push_back(cpu);
    }
    return cpus;
}

std::vector<Core> place_shards(const std::vector<Core>& cores, unsigned shards) {
    std::map<int, std::vector<Core>> by_node;
    for (auto& core : cores) by_node[core.node].push_back(core);
    std::vector<Core> in_turn;
    for (std::size_t round = 0; in_turn.size() < cores.size(); ++round) {
        for (auto& [node, members] : by_node) {
            if (round < members.size()) in_turn.push_back(members[round]);
        }
    }
    std::vector<Core> placed;
    for (unsigned shard = 0; shard < shards; ++shard) placed.push_back(in_turn[shard % in_turn.size()]);
    return placed;
}

bool bind_this_thread(const Core& core) noexcept {
    CpuSet cpus{};
    CPU_SET_S(static_cast<std::size_t>(core.cpu), sizeof cpus, cpus.data());
    bool pinned = ::sched_setaffinity(0, sizeof cpus, cpus.data()) == 0;
    // Preferred rather than bound: a full node must not kill the process.
    unsigned long nodes[nodes_max / (8 * sizeof(unsigned long))] = {};
    nodes[static_cast<std::size_t>(core.node) / (8 * sizeof(unsigned long))] |=
        1ul << (static_cast<std::size_t>(core.node) % (8 * sizeof(unsigned long)));
    bool bound = ::syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes, static_cast<unsigned long>(nodes_max)) == 0;
    return pinned && bound;
}

}  // namespace entrepot
