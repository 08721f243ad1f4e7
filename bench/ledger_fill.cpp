// ledger_fill: a ledger that holds many blobs, for measuring how long a start takes with it.
// Writes only records, through the ledger's own interface: the blobs' files do not exist, so such a store is for starting, not for
// serving. Each blob is 10 MiB (40 chunk sums, as an average layer has) and granted to one of 1,000 repositories.
// Usage: ledger_fill STORE COUNT [LOGIN_SERVER, default bench.test]

#include "entrepot/io/blocking.h"
#include "entrepot/io/loop.h"
#include "entrepot/io/task.h"
#include "entrepot/store/ledger.h"

#include <fmt/format.h>

#include <cstdlib>
#include <span>

using namespace entrepot;

namespace {

constexpr std::uint64_t count_max = 10'000'000;
constexpr std::uint64_t blobs_per_commit = 10'000;
constexpr std::uint64_t blob_bytes = 10 * MiB;
constexpr std::uint64_t repositories = 1000;

std::vector<LedgerChange> changes_of(const std::string& login_server, std::uint64_t first, std::uint64_t end) {
    std::vector<LedgerChange> changes;
    for (std::uint64_t number = first; number < end; ++number) {
        const auto digest = Digest::of(std::as_bytes(std::span(&number, 1)));
        BlobRecord record;
        record.size = blob_bytes;
        record.created = 1'700'000'000 + static_cast<std::int64_t>(number);
        record.sums.assign(chunk_count(blob_bytes), number);
        changes.push_back(PutBlob{digest, std::move(record)});
        changes.push_back(PutGrant{"", fmt::format("{}/team/app-{}", login_server, number % repositories), digest});
    }
    return changes;
}

Task<void> fill(Ledger& ledger, std::string login_server, std::uint64_t count, Loop& loop, bool& stored) {
    stored = true;
    for (std::uint64_t first = 0; first < count && stored; first += blobs_per_commit) {
        auto changes = changes_of(login_server, first, std::min(first + blobs_per_commit, count));
        const auto applied = co_await ledger.apply(std::move(changes));
        stored = applied.has_value();
    }
    loop.stop();
}

int run(const std::string& store, std::uint64_t count, const std::string& login_server) {
    Ledger::Options options;
    options.directory = store + "/ledger";
    auto ledger = Ledger::open(options);
    auto ring = Ring::open({});
    if (!ledger || !ring) {
        fmt::print(stderr, "ledger_fill: {}\n", ledger ? ring.error() : ledger.error());
        return 1;
    }
    start_lanes();
    Loop loop(std::move(*ring));
    loop.enter();
    bool stored = false;
    {
        const auto task = fill(**ledger, login_server, count, loop, stored);
        loop.run();
    }
    stop_lanes();
    if (stored) (*ledger)->mark_end_in_order();
    fmt::print("{} blobs {}\n", count, stored ? "in the ledger" : "refused by the ledger");
    return stored ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    if (argc > 4 || count == 0 || count > count_max) {
        fmt::print(stderr,
                   "usage: ledger_fill STORE COUNT [LOGIN_SERVER]     (a store that no server has open; at most 10,000,000)\n");
        return 2;
    }
    return run(argv[1], count, argc > 3 ? argv[3] : "bench.test");
}
