#include "entrepot/shard/topology.h"

#include "store/store_box.h"

#include <sched.h>

#include <thread>

namespace entrepot {
namespace {

void make_node(const ScratchDirectory& sysfs, int node, std::string_view cpus) {
    auto directory = std::filesystem::path(sysfs.path()) / "devices/system/node" / ("node" + std::to_string(node));
    std::filesystem::create_directories(directory);
    write_text(directory / "cpulist", cpus);
}

}  // namespace

TEST_CASE("topology: lists of cpus as the kernel writes them, up to what is malformed") {
    struct Row {
        std::string_view text;
        std::vector<int> cpus;
    };
    const Row rows[] = {
        {"", {}},
        {"\n", {}},
        {"0", {0}},
        {"0\n", {0}},
        {"0-3", {0, 1, 2, 3}},
        {"0-3,8,10-11", {0, 1, 2, 3, 8, 10, 11}},
        {"0-1,2-1,7", {0, 1}},
        {"3-", {}},
        {"1,,2", {1}},
        {"1,2,", {1, 2}},
        {"1;2", {1}},
        {"-1", {}},
        {"8191", {8191}},
        {"8192", {}},
        {"5,0-8192", {5}},
        {"99999999999999999999", {}},
        {"1-99999999999999999999", {}},
    };
    for (auto& row : rows) {
        CAPTURE(row.text);
        CHECK(parse_cpu_list(row.text) == row.cpus);
    }
    std::string repeated;
    for (int i = 0; i < 100; ++i) repeated += "0-8191,";
    CHECK(parse_cpu_list(repeated).size() <= 8192);
}

TEST_CASE("topology: a machine of two nodes gives each core its node, and shards take the nodes in turn") {
    ScratchDirectory sysfs;
    make_node(sysfs, 0, "0-3,8-11\n");
    make_node(sysfs, 1, "4-7,12-15\n");
    make_node(sysfs, 2, "\n");  // memory only
    auto cores = read_topology(sysfs.path(), {0, 1, 2, 5, 12, 15});
    CHECK(cores == std::vector<Core>{{0, 0}, {1, 0}, {2, 0}, {5, 1}, {12, 1}, {15, 1}});
    CHECK(place_shards(cores, 2) == std::vector<Core>{{0, 0}, {5, 1}});
    CHECK(place_shards(cores, 6) == std::vector<Core>{{0, 0}, {5, 1}, {1, 0}, {12, 1}, {2, 0}, {15, 1}});
    CHECK(place_shards(cores, 8)[6] == Core{0, 0});
    CHECK(place_shards(cores, 0).empty());
}

TEST_CASE("topology: when the nodes differ in size the larger one takes what is left") {
    std::vector<Core> cores{{0, 0}, {1, 1}, {2, 1}, {3, 1}};
    CHECK(place_shards(cores, 4) == std::vector<Core>{{0, 0}, {1, 1}, {2, 1}, {3, 1}});
}

TEST_CASE("topology: a machine that tells nothing has one node") {
    ScratchDirectory sysfs;
    CHECK(read_topology(sysfs.path(), {3, 4}) == std::vector<Core>{{3, 0}, {4, 0}});
}

TEST_CASE("topology: this process may run somewhere, and a thread can be bound there") {
    auto cpus = allowed_cpus();
    REQUIRE_FALSE(cpus.empty());
    auto cores = read_topology("/sys", cpus);
    REQUIRE(cores.size() == cpus.size());
    bool there = false;
    std::thread bound([&] {
        bind_this_thread(cores.back());
        cpu_set_t set;
        ::sched_getaffinity(0, sizeof set, &set);
        there = CPU_COUNT(&set) == 1 && CPU_ISSET(cores.back().cpu, &set);
    });
    bound.join();
    CHECK(there);
}

}  // namespace entrepot
