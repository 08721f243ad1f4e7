#pragma once
// How much memory this process may use, and how it is divided, so that what clients do stays within it. Page cache counts against a cgroup's limit too, but the kernel takes it back:
// it gets what is left.

#include <cstddef>
#include <cstdint>
#include <string>

namespace entrepot {

/// The machine's memory, or less where a cgroup of this process (version 1 or 2, or one above it) has a limit. 0 when nothing is known. `root` stands before /proc and /sys/fs/cgroup: tests
/// have trees of their own. Reads files: only at start.
std::uint64_t memory_limit_bytes(std::uint64_t machine_bytes, const std::string& root = "");

/// Of one shard.
struct MemoryShare {
    std::size_t connections_max = 0;
    std::size_t buffers = 0;             ///< ShardOptions::buffers
    std::uint64_t small_bodies_max = 0;  ///< HotBlobs::Options::body_bytes_max
};

/// A quarter for connections (16 KiB each, 64 KiB where they speak TLS), an eighth for transfer buffers (at most 32 of a shard), an eighth for small bodies (at most 64 MiB of a shard). Never less than 64 connections, 4 buffers
/// and 1 MiB, even if the limit is too low for that. A limit of 0 divides nothing: the most of everything.
MemoryShare share_memory(std::uint64_t limit_bytes, std::size_t shards, bool tls) noexcept;

/// What a server with so many shards needs to serve at all; below it is better not to start than to be killed.
std::uint64_t least_memory_bytes(std::size_t shards) noexcept;

}  // namespace entrepot
