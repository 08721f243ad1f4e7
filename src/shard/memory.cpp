#include "entrepot/shard/memory.h"

#include "entrepot/base/bytes.h"
#include "entrepot/io/buffer_pool.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string_view>

namespace entrepot {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

// With what its kernel side holds besides: a socket, what waits in it to be sent and acknowledged.
constexpr std::uint64_t connection_bytes = 16 * KiB;
constexpr std::uint64_t tls_connection_bytes = 64 * KiB;  // two records of 16 KiB and what the handshake leaves behind
constexpr std::size_t buffers_most = 32, buffers_least = 4;
constexpr std::uint64_t small_bodies_most = 64 * MiB, small_bodies_least = 1 * MiB;
constexpr std::size_t connections_least = 64;
constexpr std::uint64_t process_bytes = 32 * MiB;  // code, trust store, ledger's pages, stacks
constexpr std::uint64_t shard_bytes = 16 * MiB;    // ring, receive buffers, the least of buffers and bodies

/// "max" and whatever else is no number is no limit.
std::uint64_t number_in(const std::string& path) {
    std::ifstream file(path);
    std::string text;
    file >> text;
    std::uint64_t number = 0;
    auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && !text.empty() ? number : unlimited;
}

/// The least of the limits of this group and of all above it. In a container the group's name may be one that only the host sees: the names that do not exist are passed over.
std::uint64_t least_limit(const std::string& mount, std::string group, std::initializer_list<const char*> names) {
    std::uint64_t least = unlimited;
    for (;;) {
        for (auto* name : names) least = std::min(least, number_in(mount + group + "/" + name));
        auto cut = group.find_last_of('/');
        if (cut == std::string::npos) return least;
        group.resize(cut);
    }
}

bool names_memory(std::string_view controllers) {
    while (!controllers.empty()) {
        auto comma = controllers.find(',');
        if (controllers.substr(0, comma) == "memory") return true;
        controllers = comma == std::string_view::npos ? std::string_view() : controllers.substr(comma + 1);
    }
    return false;
}

/// One line of /proc/self/cgroup (cgroups(7)): "hierarchy:controllers:/group".
std::uint64_t limit_of(std::string_view line, const std::string& root) {
    auto first = line.find(':');
    auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) return unlimited;
    auto controllers = line.substr(first + 1, second - first - 1);
    std::string group(line.substr(second + 1));
    if (controllers.empty()) return least_limit(root + "/sys/fs/cgroup", group, {"memory.max", "memory.high"});
    return names_memory(controllers) ? least_limit(root + "/sys/fs/cgroup/memory", group, {"memory.limit_in_bytes"}) : unlimited;
}

}  // namespace

std::uint64_t memory_limit_bytes(std::uint64_t machine_bytes, const std::string& root) {
    std::uint64_t least = machine_bytes > 0 ? machine_bytes : unlimited;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) least = std::min(least, limit_of(line, root));
    return least == unlimited ? 0 : least;
}

MemoryShare share_memory(std::uint64_t limit_bytes, std::size_t shards, bool tls) noexcept {
    std::uint64_t share = limit_bytes > 0 ? limit_bytes / shards : unlimited;
    MemoryShare divided;
    divided.connections_max =
        std::max<std::size_t>(share / 4 / (tls ? tls_connection_bytes : connection_bytes), connections_least);
    divided.buffers = std::clamp<std::size_t>(share / 8 / BufferPool::buffer_bytes, buffers_least, buffers_most);
    divided.small_bodies_max = std::clamp(share / 8, small_bodies_least, small_bodies_most);
    return divided;
}

std::uint64_t least_memory_bytes(std::size_t shards) noexcept { return process_bytes + shards * shard_bytes; }

}  // namespace entrepot
