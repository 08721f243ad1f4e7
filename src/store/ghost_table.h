#pragma once
// Remembers the names of blobs to which something happened (evicted on trial; opened), for as long as it happens to others of a given
// amount of bytes. A fixed table: a name takes 16 bytes, and where a bucket is full the oldest name in it is forgotten early. Two digests
// that agree in 64 bits pass for each other, which costs one blob its trial, or another its place in the page cache, and nothing else.

#include "entrepot/oci/digest.h"

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace entrepot {

class GhostTable {
  public:
    /// `entries_max` is rounded up to a power of two, at least one bucket.
    GhostTable(std::uint32_t entries_max, std::uint64_t bytes_remembered);

    void set_bytes_remembered(std::uint64_t bytes) noexcept { bytes_remembered_ = bytes; }
    /// It happened to a blob of `bytes`.
    void remember(const Digest& digest, std::uint64_t bytes) noexcept;
    /// True if it happened to the blob within the last bytes_remembered; its name is then given up.
    bool take(const Digest& digest) noexcept;

  private:
    struct Name {
        std::uint64_t key;
        std::uint64_t happened_at;  // on clock_; 0: empty, as calloc leaves it
    };
    static constexpr std::size_t names_per_bucket = 8;  // two cache lines
    struct Bucket {
        Name names[names_per_bucket];
    };
    struct Free {
        void operator()(Bucket* buckets) const noexcept { std::free(buckets); }
    };

    Name* find(Bucket& bucket, std::uint64_t key) noexcept;

    std::uint64_t bytes_remembered_;
    std::uint64_t clock_ = 1;  // bytes so far, plus one
    std::uint64_t bucket_mask_;
    std::unique_ptr<Bucket[], Free> buckets_;
};

}  // namespace entrepot
