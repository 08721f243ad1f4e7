#include "store/blob_table.h"

#include "store_box.h"

#include <random>
#include <unordered_map>

namespace entrepot {

TEST_CASE("blob table: agrees with a reference map through growth and random removals") {
    constexpr std::size_t entries = 5000;
    std::vector<EvictionEntry> all(entries);
    for (std::size_t i = 0; i < entries; ++i) {
        // Half of the digests share their first eight bytes with another: clusters are where erasure goes wrong.
        auto digest = digest_of(std::to_string(i / 2));
        std::array<std::byte, 32> raw;
        std::copy(digest.raw().begin(), digest.raw().end(), raw.begin());
        raw[31] ^= std::byte(i % 2);
        all[i].digest = Digest::from_raw(DigestAlgorithm::sha256, raw);
    }
    BlobTable table;
    std::vector<bool> in(entries);
    std::size_t size = 0;
    std::mt19937 random(7);
    for (int step = 0; step < 60'000; ++step) {
        auto i = random() % entries;
        if (in[i]) table.erase(all[i]);
        else table.insert(all[i]);
        in[i] = !in[i];
        size += in[i] ? 1 : -1;
        auto probe = random() % entries;
        CHECK(table.find(all[probe].digest) == (in[probe] ? &all[probe] : nullptr));
    }
    CHECK(table.size() == size);
    for (std::size_t i = 0; i < entries; ++i) CHECK(table.find(all[i].digest) == (in[i] ? &all[i] : nullptr));
}

}  // namespace entrepot
