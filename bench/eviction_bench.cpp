// Which eviction suits a container mirror, and what ours costs.
//
// First table: object and byte hit ratios of LRU, SIEVE and S3-FIFO (eviction_policies.h), and of the server's own Eviction, on
// the same made-up traces (container_trace.h). The first quarter of each trace warms the cache and is not counted.
// Second: load time, memory and cost per operation of the server's structure with a million blobs.
// Usage: eviction_bench [requests, default 1000000] [--variants: other settings of S3-FIFO too]

#include "container_trace.h"
#include "eviction_policies.h"

#include "entrepot/base/units.h"
#include "entrepot/store/eviction.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>

using namespace entrepot;
using namespace entrepot::bench;

namespace {

Digest digest_of(std::uint64_t number) {
    std::mt19937_64 random(number + 1);
    std::array<std::uint64_t, 4> words{};
    for (std::uint64_t& word : words) word = random();
    return Digest::from_raw(DigestAlgorithm::sha256, std::as_bytes(std::span(words)));
}

// The server's structure behind the interface of the contestants: an index by number and room made before storing.
class OwnEviction {
  public:
    OwnEviction(std::uint64_t capacity_bytes, const std::vector<std::uint64_t>& sizes)
        : eviction_({.capacity_bytes = capacity_bytes}), sizes_(sizes), entries_(sizes.size(), nullptr) {}

    bool request(ObjectId id) {
        if (entries_[id]) {
            entries_[id]->touch();
            return true;
        }
        if (sizes_[id] > eviction_.capacity_bytes()) return false;
        while (eviction_.bytes_used() + sizes_[id] > eviction_.capacity_bytes()) evict_one();
        entries_[id] = eviction_.insert(digest_of(id), sizes_[id]);
        by_digest_[entries_[id]->digest.hash()] = id;
        bytes_stored_ += sizes_[id];
        return false;
    }
    std::uint64_t bytes_stored() const { return bytes_stored_; }

  private:
    void evict_one() {
        EvictionEntry* victim = eviction_.victim();
        ASSERT(victim != nullptr);
        const auto found = by_digest_.find(victim->digest.hash());
        entries_[found->second] = nullptr;
        by_digest_.erase(found);
        eviction_.remove(*victim);
    }

    Eviction eviction_;
    const std::vector<std::uint64_t>& sizes_;
    std::vector<EvictionEntry*> entries_;
    std::unordered_map<std::uint64_t, ObjectId> by_digest_;
    std::uint64_t bytes_stored_ = 0;
};

struct Score {
    double object_hits = 0;
    double byte_hits = 0;
    std::uint64_t bytes_stored = 0;
};

template <typename Contestant>
Score play(const Trace& trace, Contestant& contestant) {
    const std::size_t warm = trace.requests.size() / 4;
    std::uint64_t hits = 0, hit_bytes = 0, bytes = 0;
    for (std::size_t i = 0; i < trace.requests.size(); ++i) {
        const ObjectId id = trace.requests[i];
        const bool hit = contestant.request(id);
        if (i < warm) continue;
        bytes += trace.sizes[id];
        hits += hit;
        if (hit) hit_bytes += trace.sizes[id];
    }
    return {static_cast<double>(hits) / static_cast<double>(trace.requests.size() - warm),
            static_cast<double>(hit_bytes) / static_cast<double>(bytes), contestant.bytes_stored()};
}

void print_score(std::string_view name, const Score& score) {
    fmt::print("      {:<22} {:>8.4f} {:>8.4f} {:>10.0f}\n", name, score.object_hits, score.byte_hits,
               static_cast<double>(score.bytes_stored) / 1e9);
}

void compare(const Trace& trace, std::uint64_t capacity_bytes, bool variants) {
    std::vector<std::unique_ptr<Policy>> contestants;
    contestants.push_back(std::make_unique<Lru>(capacity_bytes, trace.sizes));
    contestants.push_back(std::make_unique<Sieve>(capacity_bytes, trace.sizes));
    contestants.push_back(std::make_unique<S3Fifo>(capacity_bytes, trace.sizes));
    if (variants) {
        for (S3FifoOptions options :
             {S3FifoOptions{"S3-FIFO, 1 use proves", 0.10, 0.90, 1, 3}, S3FifoOptions{"S3-FIFO, small 5 %", 0.05, 0.95, 2, 3},
              S3FifoOptions{"S3-FIFO, small 20 %", 0.20, 0.80, 2, 3}, S3FifoOptions{"S3-FIFO, ghosts 30 %", 0.10, 0.30, 2, 3}})
            contestants.push_back(std::make_unique<S3Fifo>(capacity_bytes, trace.sizes, options));
    }
    for (const auto& contestant : contestants) print_score(contestant->name(), play(trace, *contestant));
    OwnEviction own(capacity_bytes, trace.sizes);
    print_score("entrepot", play(trace, own));
}

void compare_all(std::uint32_t requests, bool variants) {
    fmt::print("alpha, scans, capacity/catalogue  object   byte hit  stored GB\n");
    for (const double alpha : {0.7, 0.9, 1.1}) {
        for (const double scan_share : {0.0, 0.2, 0.5}) {
            const Trace trace = TraceMaker({.alpha = alpha, .scan_share = scan_share, .requests = requests}).make();
            for (const double fraction : {0.01, 0.05, 0.10, 0.25}) {
                fmt::print("{:.1f}  {:>2.0f} %  {:>2.0f} % of {}\n", alpha, scan_share * 100, fraction * 100,
                           size_for_people(trace.catalogue_bytes));
                compare(trace, static_cast<std::uint64_t>(static_cast<double>(trace.catalogue_bytes) * fraction), variants);
            }
        }
    }
}

double resident_bytes() {
    long pages_all = 0, pages = 0;
    if (FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%ld %ld", &pages_all, &pages) != 2) pages = 0;
        std::fclose(file);
    }
    return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double milliseconds_for(const std::function<void()>& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void measure_cost() {
    constexpr std::uint32_t blobs = 1'000'000;
    std::vector<Digest> digests;
    digests.reserve(blobs);
    for (std::uint32_t i = 0; i < blobs; ++i) digests.push_back(digest_of(i));
    std::vector<EvictionEntry*> entries(blobs);
    Eviction eviction({.capacity_bytes = std::uint64_t{blobs} * 1000});

    const double before = resident_bytes();
    const double load_ms = milliseconds_for([&] {
        for (std::uint32_t i = 0; i < blobs; ++i) entries[i] = eviction.insert(digests[i], 1000, i % 10 != 0);
    });
    const double bytes_each = (resident_bytes() - before) / blobs;
    fmt::print("load {} blobs: {:.0f} ms, {:.1f} bytes each (entry {} bytes)\n", blobs, load_ms, bytes_each,
               sizeof(EvictionEntry));

    std::mt19937_64 random(1);
    std::vector<std::uint32_t> order(blobs);
    for (std::uint32_t& at : order) at = static_cast<std::uint32_t>(random() % blobs);
    const double touch_ms = milliseconds_for([&] {
        for (const std::uint32_t at : order) entries[at]->touch();
    });
    fmt::print("touch, random blob: {:.1f} ns\n", touch_ms);

    const double replace_ms = milliseconds_for([&] {
        for (std::uint32_t i = 0; i < blobs; ++i) {
            eviction.remove(*eviction.victim());
            eviction.insert(digests[i], 1000);
        }
    });
    fmt::print("victim, remove, insert: {:.0f} ns\n", replace_ms);

    for (std::uint32_t i = 0; i < blobs; ++i)
        for (int use = 0; use < 3; ++use) entries[i]->touch();
    EvictionEntry* victim = nullptr;
    const double walk_ms = milliseconds_for([&] { victim = eviction.victim(); });
    eviction.keep(*victim);
    fmt::print("victim when every blob is hot (walk to the bound): {:.0f} us\n", walk_ms * 1000);
}

}  // namespace

int main(int argc, char** argv) {
    std::uint32_t requests = 1'000'000;
    bool variants = false;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--variants") variants = true;
        else requests = static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10));
    }
    if (requests < 1000) {
        fmt::print(stderr, "usage: eviction_bench [requests, at least 1000] [--variants]\n");
        return 2;
    }
    measure_cost();
    compare_all(requests, variants);
    return 0;
}
