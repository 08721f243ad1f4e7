// ledger_bench: what a start costs with many blobs in the ledger, and what the ledger's calls cost. Usage: ledger_bench STORE
// STORE is a directory that ledger_fill made. Opens the ledger and loads the eviction's memory exactly as Store::start does, then times single reads and
// the commit of one list at a time against many at once (group commit).

#include "entrepot/io/blocking.h"
#include "entrepot/store/store.h"

#include <fmt/format.h>
#include <malloc.h>

#include <vector>

using namespace entrepot;

namespace {

constexpr std::uint64_t reads = 200'000;
constexpr int lists = 2000;
constexpr int tasks_at_once = 64;

double seconds_since(Instant start) { return std::chrono::duration<double>(now() - start).count(); }

Task<void> start_and_stop(Store& store, double& start_seconds, bool& started) {
    auto begun = now();
    const auto result = co_await store.start();
    start_seconds = seconds_since(begun);
    started = result.has_value();
    if (started) co_await store.stop();
}

Task<void> apply_some(Ledger& ledger, int first, int count) {
    for (int i = first; i < first + count; ++i) {
        const auto digest = Digest::of(std::as_bytes(std::span(&i, 1)));
        std::vector<LedgerChange> changes;
        changes.push_back(PutGrant{"", "bench/ledger", digest});
        const auto applied = co_await ledger.apply(std::move(changes));
        if (!applied) fmt::print(stderr, "ledger_bench: a change was refused\n");
    }
}

double time_lists(Loop& loop, Ledger& ledger, int tasks) {
    auto begun = now();
    TaskGroup group;
    for (int i = 0; i < tasks; ++i) group.start(apply_some(ledger, i * (lists / tasks), lists / tasks));
    while (group.running() > 0) loop.turn(now() + seconds(1));
    return seconds_since(begun) / lists;
}

void time_reads(const Ledger& ledger) {
    std::vector<Digest> digests;
    auto collect = [&](const Digest& digest, std::uint64_t, std::uint8_t, std::uint8_t) {
        if (digests.size() < reads) digests.push_back(digest);
    };
    auto begun = now();
    ledger.each_blob(collect);
    fmt::print("walk of every record        {:8.3f} s\n", seconds_since(begun));
    std::uint64_t found = 0;
    begun = now();
    for (auto& digest : digests) found += ledger.find_blob(digest).has_value();
    fmt::print("find_blob with sums         {:8.0f} ns ({} found)\n",
               seconds_since(begun) * 1e9 / static_cast<double>(digests.size()), found);
    begun = now();
    for (auto& digest : digests) found += ledger.granted("", "bench.test/team/app-1", digest);
    fmt::print("granted                     {:8.0f} ns\n", seconds_since(begun) * 1e9 / static_cast<double>(digests.size()));
}

int run(const char* directory) {
    auto ring = Ring::open({});
    if (!ring) return fmt::print(stderr, "ledger_bench: {}\n", ring.error()), 1;
    start_lanes();
    Loop loop(std::move(*ring));
    Store::Options options;
    options.directory = directory;
    options.capacity_bytes = 1ull << 60;  // the records' files do not exist: nothing shall be evicted
    auto heap = mallinfo2().uordblks;
    auto begun = now();
    auto store = Store::open(options);
    if (!store) return fmt::print(stderr, "ledger_bench: {}\n", store.error()), 1;
    auto open_seconds = seconds_since(begun);
    {
        double start_seconds = 0;
        bool started = false;
        const auto task = start_and_stop(**store, start_seconds, started);
        while (!task.done()) loop.turn(now() + seconds(1));
        if (!started) return fmt::print(stderr, "ledger_bench: the store does not start\n"), 1;
        fmt::print("blobs                       {:8}\n", (*store)->counters().blobs.load());
        fmt::print("Store::open                 {:8.3f} s\n", open_seconds);
        fmt::print("Store::start                {:8.3f} s\n", start_seconds);
        fmt::print("heap                        {:8.1f} bytes a blob\n",
                   static_cast<double>(mallinfo2().uordblks - heap) / static_cast<double>((*store)->counters().blobs.load()));
    }
    auto& ledger = (*store)->ledger();
    time_reads(ledger);
    fmt::print("durable change, one task    {:8.0f} us\n", time_lists(loop, ledger, 1) * 1e6);
    auto before = ledger.commits();
    auto together = time_lists(loop, ledger, tasks_at_once);
    auto after = ledger.commits();
    fmt::print("durable change, {} tasks    {:8.0f} us, {:.1f} lists a commit\n", tasks_at_once, together * 1e6,
               static_cast<double>(after.lists - before.lists) / static_cast<double>(after.transactions - before.transactions));
    store->reset();
    stop_lanes();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2) return run(argv[1]);
    fmt::print(stderr, "usage: ledger_bench STORE     (made by ledger_fill; no server has it open)\n");
    return 2;
}
