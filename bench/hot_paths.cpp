// What the server's hot paths cost, each by itself and as whole requests: nanoseconds here, or instructions under callgrind (bench/instructions does that and
// compares them with what they were). Nothing here is random and time stands still, so that a count repeats.

#include "hot_paths/path.h"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

using namespace entrepot;
using namespace entrepot::bench;

namespace {

constexpr const char* usage =
    "Usage: hot_paths [--only TEXT] [--list | --count | --about]\n"
    "Prints nanoseconds per operation: the median of 31 rounds, the least and the most.\n"
    "  --only TEXT  paths whose name contains it\n"
    "  --list       names only\n"
    "  --count      under valgrind --tool=callgrind --instr-atstart=no --collect-atstart=no: one dump for each path\n"
    "  --about      what it was compiled with\n";
constexpr int rounds = 31;

struct CommandLine {
    std::string only;
    bool list = false, count = false, about = false;

    bool parse(int argc, char** argv) {
        for (int i = 1; i < argc; ++i) {
            std::string_view word = argv[i];
            if (word == "--only" && i + 1 < argc) only = argv[++i];
            else if (word == "--list") list = true;
            else if (word == "--count") count = true;
            else if (word == "--about") about = true;
            else return false;
        }
        return list + count + about <= 1;
    }
};

/// A directory for stores and ledgers, removed at the end.
class Scratch {
  public:
    Scratch() {
        auto name = (std::filesystem::temp_directory_path() / "hot_paths.XXXXXX").string();
        if (!::mkdtemp(name.data())) {
            fmt::print(stderr, "hot_paths: cannot make {}\n", name);
            std::exit(1);
        }
        path_ = name;
    }
    ~Scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const noexcept { return path_; }

  private:
    std::string path_;
};

Paths chosen_paths(const CommandLine& wishes, const std::string& scratch) {
    Paths chosen;
    for (auto& group : {text_paths(), byte_paths(), loop_paths(), store_paths(scratch), request_paths(scratch)}) {
        for (auto& path : group) {
            if (path.name.find(wishes.only) != std::string::npos) chosen.push_back(path);
        }
    }
    return chosen;
}

void print_about() {
    fmt::print("compiler={} {}.{}\nlibc={}\nbuild={}\n",
#ifdef __clang__
               "clang++", __clang_major__, __clang_minor__,
#else
               "g++", __GNUC__, __GNUC_MINOR__,
#endif
               gnu_get_libc_version(), BENCH_BUILD);
}

void stay_on_this_core() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
}

void measure(const HotPath& path) {
    Meter meter;
    path.work(meter, path.operations);
    meter.take_ns();
    std::vector<double> ns;
    for (int round = 0; round < rounds; ++round) {
        path.work(meter, path.operations);
        ns.push_back(meter.take_ns() / path.operations);
    }
    std::sort(ns.begin(), ns.end());
    fmt::print("{:<50} {:>10.1f}   ({:.1f} to {:.1f})\n", path.name, ns[ns.size() / 2], ns.front(), ns.back());
    std::fflush(stdout);
}

/// One line "name<tab>operations", and a dump of the counts by that name.
void count(const HotPath& path) {
#ifdef RUNNING_ON_VALGRIND
    if (!path.counted) return;
    Meter meter;
    path.work(meter, path.operations);  // memory is there, caches are filled, what happens once has happened
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    path.work(meter, path.operations);
    CALLGRIND_DUMP_STATS_AT(path.name.c_str());
    CALLGRIND_STOP_INSTRUMENTATION;
    fmt::print("{}\t{}\n", path.name, path.operations);
    std::fflush(stdout);
#else
    (void)path;
#endif
}

bool can_count() {
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND;
#else
    return false;
#endif
}

}  // namespace

int main(int argc, char** argv) {
    CommandLine wishes;
    if (!wishes.parse(argc, argv)) return std::fputs(usage, stderr), 2;
    if (wishes.about) return print_about(), 0;
    if (wishes.count && !can_count()) {
        fmt::print(
            stderr,
            "hot_paths: --count wants to run under valgrind, and valgrind/callgrind.h when it is compiled; see bench/instructions\n");
        return 1;
    }
    stay_on_this_core();
    Scratch scratch;
    auto paths = chosen_paths(wishes, scratch.path());
    for (auto& path : paths) {
        if (wishes.list) fmt::print("{}\n", path.name);
        else if (wishes.count) count(path);
        else measure(path);
    }
    return paths.empty() ? 1 : 0;
}
