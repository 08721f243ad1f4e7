#include "entrepot/shard/memory.h"

#include "entrepot/base/bytes.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace entrepot {
namespace {

/// A /proc and a /sys/fs/cgroup of our own.
class Tree {
  public:
    Tree() {
        std::string name = (std::filesystem::temp_directory_path() / "entrepot-memory-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        root_ = name;
    }
    ~Tree() { std::filesystem::remove_all(root_); }
    Tree& has(const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
        return *this;
    }
    std::uint64_t limit(std::uint64_t machine = 8 * GiB) const { return memory_limit_bytes(machine, root_); }

  private:
    std::string root_;
};

}  // namespace

TEST_CASE("memory: without a cgroup's limit it is the machine's") {
    CHECK(Tree().limit() == 8 * GiB);
    CHECK(Tree().limit(0) == 0);
    CHECK(Tree().has("/proc/self/cgroup", "0::/a\n").has("/sys/fs/cgroup/a/memory.max", "max\n").limit() == 8 * GiB);
    CHECK(Tree()
              .has("/proc/self/cgroup", "4:memory:/\n")
              .has("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
              .limit() == 8 * GiB);
    CHECK(Tree().has("/proc/self/cgroup", "rubbish\n\n:\n0:\n").limit() == 8 * GiB);
}

TEST_CASE("memory: version 2: the least of the group's limits and of those above it") {
    Tree tree;
    tree.has("/proc/self/cgroup", "0::/system.slice/entrepot.service\n");
    tree.has("/sys/fs/cgroup/system.slice/entrepot.service/memory.max", "1073741824\n");
    CHECK(tree.limit() == 1 * GiB);
    tree.has("/sys/fs/cgroup/system.slice/entrepot.service/memory.high", "805306368\n");
    CHECK(tree.limit() == 768 * MiB);
    tree.has("/sys/fs/cgroup/system.slice/memory.max", "268435456\n");
    CHECK(tree.limit() == 256 * MiB);
    CHECK(tree.limit(128 * MiB) == 128 * MiB);
}

TEST_CASE("memory: version 1, by the line of its controller, also where the group's name is the host's") {
    Tree tree;
    tree.has("/proc/self/cgroup", "9:name=systemd:/\n5:cpu,memory:/docker/abc\n0::/\n");
    tree.has("/sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
    CHECK(tree.limit() == 128 * MiB);
    tree.has("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "67108864\n");
    CHECK(tree.limit() == 64 * MiB);
}

TEST_CASE("memory: what all shards may hold together stays within half of the limit") {
    for (std::uint64_t limit : {128 * MiB, 256 * MiB, 1 * GiB, 64 * GiB}) {
        for (std::size_t shards : {1u, 2u, 4u, 16u}) {
            if (limit < least_memory_bytes(shards)) continue;
            CAPTURE(limit);
            CAPTURE(shards);
            auto share = share_memory(limit, shards, false);
            auto held = share.connections_max * 16 * KiB + share.buffers * 256 * KiB + share.small_bodies_max;
            CHECK(shards * held <= limit / 2 + shards * (64 * 16 * KiB + 4 * 256 * KiB + 1 * MiB));
        }
    }
}

TEST_CASE("memory: much of it gives what there was without a limit, none known as well") {
    for (std::uint64_t limit : {std::uint64_t{0}, 64 * GiB}) {
        auto share = share_memory(limit, 4, false);
        CHECK(share.buffers == 32);
        CHECK(share.small_bodies_max == 64 * MiB);
        CHECK(share.connections_max >= 262'144);
    }
}

TEST_CASE("memory: connections that speak TLS are fewer") {
    CHECK(share_memory(256 * MiB, 2, true).connections_max * 4 == share_memory(256 * MiB, 2, false).connections_max);
}

TEST_CASE("memory: a limit that is too low leaves the least of each") {
    auto share = share_memory(8 * MiB, 16, false);
    CHECK(share.connections_max == 64);
    CHECK(share.buffers == 4);
    CHECK(share.small_bodies_max == 1 * MiB);
    CHECK(least_memory_bytes(16) > 8 * MiB);
}

}  // namespace entrepot
