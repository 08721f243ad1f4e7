// sim_tests: whole boxes under seeds. Each life of a box is a process of its own, so that a crash is one (the ledger's LMDB included) and a failed
// assertion ends one seed, not the run.

#include "life.h"
#include "world.h"

#include "entrepot/base/log.h"

#include <execinfo.h>
#include <fmt/format.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace entrepot::sim {
namespace {

constexpr const char* usage =
    "usage: sim_tests [--seeds N] [--first S] [--seed S] [--seconds T] [--verbose] [--repeat]\n"
    "  --seeds N    how many seeds (default 500)\n"
    "  --first S    the first of them (default 1)\n"
    "  --seed S     only this one; its log is printed\n"
    "  --seconds T  start no further seed after T seconds of real time\n"
    "  --verbose    print every event\n"
    "  --no-crashes leave out the short lives that end at each of their disk steps\n"
    "  --repeat     run each seed twice and compare the histories\n";

struct Options {
    std::uint64_t seeds = 500, first = 1;
    double seconds = 1e9;
    bool single = false, verbose = false, repeat = false, crashes = true;
};

constexpr std::uint64_t crash_seeds = 4;
constexpr std::uint64_t crash_steps_max = 2000;

bool parse(int count, char** arguments, Options& options) {
    for (int i = 1; i < count; ++i) {
        std::string_view name = arguments[i];
        if (name == "--verbose") options.verbose = true;
        else if (name == "--repeat") options.repeat = true;
        else if (name == "--no-crashes") options.crashes = false;
        else if (i + 1 == count) return false;
        else if (name == "--seeds") options.seeds = std::strtoull(arguments[++i], nullptr, 10);
        else if (name == "--first") options.first = std::strtoull(arguments[++i], nullptr, 10);
        else if (name == "--seconds") options.seconds = std::strtod(arguments[++i], nullptr);
        else if (name == "--seed") {
            options.first = std::strtoull(arguments[++i], nullptr, 10);
            options.seeds = 1;
            options.single = true;
        } else return false;
    }
    return true;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::string make_directory() {
    std::string base = std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path().string();
    std::string path = base + "/entrepot-sim-XXXXXX";
    ASSERT(::mkdtemp(path.data()));
    return path;
}

/// What a failed assertion of the program leaves to read: where it stood, and what happened before.
void print_witness() {
    void* frames[64];
    ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), STDERR_FILENO);
    print_live_tasks();
    if (World::exists()) World::current().print_last_notes();
}

/// Runs one life in a child whose output goes to a file. True when it ended as it should.
bool fork_life(const Plan& plan, std::size_t number, const std::string& directory, bool verbose) {
    std::fflush(nullptr);
    auto child = ::fork();
    ASSERT(child >= 0);
    if (child > 0) {
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    auto log = directory + "/log";
    if (!verbose && !std::freopen(log.c_str(), "a", stderr)) ::_exit(3);
    ::alarm(120);  // a life that hangs in real time is a failure too
    std::filesystem::current_path(directory);
    set_assert_witness(print_witness);
    auto memory = Memory::load(read_file(directory + "/memory"));
    auto after = run_life(plan, number, memory, verbose);
    write_file(directory + "/memory", after.save());
    ::_exit(0);
}

/// False when a checker stopped it; its log is printed then.
bool run_plan(const Plan& plan, bool verbose, Memory& into) {
    auto directory = make_directory();
    std::filesystem::create_directory(directory + "/" + Plan::store_path);
    write_file(directory + "/memory", Memory{}.save());
    bool good = true;
    for (std::size_t life = 0; good && life < plan.lives.size(); ++life) {
        good = fork_life(plan, life, directory, verbose);
        if (!good)
            fmt::print("seed {}: failed in life {} of {}\n{}\n", plan.seed, life + 1, plan.lives.size(),
                       read_file(directory + "/log"));
    }
    into = Memory::load(read_file(directory + "/memory"));
    std::filesystem::remove_all(directory);
    return good;
}

struct Totals {
    std::uint64_t passed = 0, failed = 0;
    std::map<std::string, std::uint64_t> counts;
    std::vector<std::uint64_t> failed_seeds;
};

void run_and_count(std::uint64_t seed, const Options& options, Totals& totals) {
    Memory memory, again;
    auto plan = Plan::draw(seed);
    bool good = run_plan(plan, options.verbose, memory);
    if (good && options.repeat) {
        good = run_plan(plan, false, again) && memory.history == again.history;
        if (!good) fmt::print("seed {}: a second run had another history\n", seed);
    }
    ++(good ? totals.passed : totals.failed);
    if (!good) totals.failed_seeds.push_back(seed);
    for (const auto& [what, count] : memory.counts) totals.counts[what] += count;
}

/// What a full run must have injected, and come to, at least once: a simulator that spares the program proves nothing.
constexpr std::string_view expected[] = {"injected: short read",
                                         "injected: short write",
                                         "injected: EINTR or EAGAIN of a file",
                                         "injected: EIO of a read",
                                         "injected: EIO of a write",
                                         "injected: EIO of a sync",
                                         "injected: sync that lies",
                                         "injected: ENOSPC without need",
                                         "injected: ENOSPC of a full disk",
                                         "injected: error on a name",
                                         "injected: pages reclaimed",
                                         "reads past memory",
                                         "injected: short socket transfer",
                                         "injected: EINTR of a socket",
                                         "injected: multishot request ended",
                                         "injected: ENOBUFS without need",
                                         "injected: error of an accept",
                                         "injected: connect refused",
                                         "injected: connect into a black hole",
                                         "injected: connection reset by the network",
                                         "injected: segment lost for ever",
                                         "injected: tiny segments",
                                         "injected: narrow socket buffer",
                                         "injected: completions reported late",
                                         "injected: cancel too late",
                                         "injected: registered buffers refused",
                                         "injected: name look-up failed",
                                         "injected: long delay of a disk",
                                         "injected: long delay of the network",
                                         "injected: bit rotten",
                                         "injected: crash in the middle",
                                         "injected: pages lost in a power cut",
                                         "injected: names lost in a power cut",
                                         "injected: upstream: no answer",
                                         "injected: upstream: no HTTP",
                                         "injected: upstream: 5xx",
                                         "injected: upstream: 429",
                                         "injected: upstream: body cut",
                                         "injected: upstream: body reset",
                                         "injected: upstream: bit flipped",
                                         "injected: upstream: more promised",
                                         "injected: upstream: little left of the rate limit",
                                         "injected: upstream: less sent",
                                         "injected: upstream: body stalls",
                                         "injected: upstream: digest header lies",
                                         "starts after a crash",
                                         "reads ahead",
                                         "purges",
                                         "blobs purged",
                                         "rotten blobs found by the scrub",
                                         "passes of the scrub that leave nothing rotten",
                                         "crashes at a chosen disk step",
                                         "starts refused",
                                         "answered by hit",
                                         "answered by follow",
                                         "answered by fetch",
                                         "answered by revalidated",
                                         "answered by stale",
                                         "answered by bypass"};
constexpr std::uint64_t seeds_of_a_full_run = 500;

bool is_complete(const Totals& totals) {
    bool complete = true;
    for (auto what : expected) {
        if (totals.counts.contains(std::string(what))) continue;
        fmt::print("never seen: {}\n", what);
        complete = false;
    }
    return complete;
}

/// Ends the same short life after its first effect on the disk, after its second, and so on until it ends by itself. False when a successor finds something wrong.
bool run_crashes(std::uint64_t seed, Totals& totals) {
    for (std::uint64_t step = 1; step < crash_steps_max; ++step) {
        Memory memory;
        bool good = run_plan(Plan::crash_at(seed, step), false, memory);
        for (const auto& [what, count] : memory.counts) totals.counts[what] += count;
        if (!good) {
            fmt::print("seed {}: wrong after a crash at disk step {}\n", seed, step);
            return false;
        }
        if (!memory.counts.contains("crashes at a chosen disk step")) return true;
    }
    fmt::print("seed {}: a short life has more than {} disk steps\n", seed, crash_steps_max);
    return false;
}

int run(const Options& options) {
    Totals totals;
    auto started = std::chrono::steady_clock::now();
    auto elapsed = [started] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
    for (auto seed = options.first; seed < options.first + options.seeds && elapsed() < options.seconds; ++seed)
        run_and_count(seed, options, totals);
    for (auto seed : totals.failed_seeds) fmt::print("failed: sim_tests --seed {}\n", seed);
    if (!options.single && options.crashes) {
        for (auto seed = options.first; seed < options.first + crash_seeds; ++seed)
            ++(run_crashes(seed, totals) ? totals.passed : totals.failed);
    }
    for (const auto& [what, count] : totals.counts) fmt::print("{:>12}  {}\n", count, what);
    if (totals.passed >= seeds_of_a_full_run && !is_complete(totals)) ++totals.failed;
    fmt::print("simulation: {} seeds passed, {} failed, {:.1f} s\n", totals.passed, totals.failed, elapsed());
    return totals.failed == 0 ? 0 : 1;
}

/// Addresses must not vary between runs either: without this a table ordered by addresses would make a seed replay differently.
void fix_addresses(char** arguments) {
    int now = ::personality(0xffffffff);
    if (now < 0 || (now & ADDR_NO_RANDOMIZE) || ::personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) < 0) return;
    ::execv("/proc/self/exe", arguments);
}

}  // namespace
}  // namespace entrepot::sim

int main(int count, char** arguments) {
    entrepot::sim::Options options;
    if (!entrepot::sim::parse(count, arguments, options)) {
        std::fputs(entrepot::sim::usage, stderr);
        return 2;
    }
    entrepot::sim::fix_addresses(arguments);
    entrepot::set_log_level(options.verbose ? entrepot::Level::debug : entrepot::Level::warning);
    return entrepot::sim::run(options);
}
