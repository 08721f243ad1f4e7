#include "store/ghost_table.h"

#include "entrepot/base/out_of_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace entrepot {
namespace {

// The digest's second word; its first one may already have chosen the shard, so that its low bits are all alike here.
std::uint64_t key_of(const Digest& digest) noexcept {
    std::uint64_t key = 0;
    std::memcpy(&key, digest.raw().data() + sizeof key, sizeof key);
    return key;
}

}  // namespace

GhostTable::GhostTable(std::uint32_t entries_max, std::uint64_t bytes_remembered) : bytes_remembered_(bytes_remembered) {
    const std::uint64_t buckets = std::bit_ceil(std::max<std::uint64_t>(1, entries_max / names_per_bucket));
    bucket_mask_ = buckets - 1;
    // calloc leaves the pages unmapped until a name needs them.
    buckets_.reset(static_cast<Bucket*>(std::calloc(buckets, sizeof(Bucket))));
    if (!buckets_) end_out_of_memory();
}

void GhostTable::remember(const Digest& digest, std::uint64_t bytes) noexcept {
    clock_ += bytes;
    const std::uint64_t key = key_of(digest);
    Bucket& bucket = buckets_[key & bucket_mask_];
    Name* place = find(bucket, key);
    if (!place)
        place = std::min_element(std::begin(bucket.names), std::end(bucket.names),
                                 [](const Name& a, const Name& b) { return a.happened_at < b.happened_at; });
    *place = {key, clock_};
}

bool GhostTable::take(const Digest& digest) noexcept {
    if (clock_ == 1) return false;  // nothing left yet: loading 10^6 blobs at start touches none of the table's pages
    const std::uint64_t key = key_of(digest);
    Name* name = find(buckets_[key & bucket_mask_], key);
    if (!name) return false;
    const bool recent = clock_ - name->happened_at <= bytes_remembered_;
    *name = {};
    return recent;
}

GhostTable::Name* GhostTable::find(Bucket& bucket, std::uint64_t key) noexcept {
    for (Name& name : bucket.names)
        if (name.key == key && name.happened_at != 0) return &name;
    return nullptr;
}

}  // namespace entrepot
