#pragma once
// An open, published blob: immutable bytes under a descriptor. Shared by any number of readers on any shard; the last one closes it. While one exists the
// blob is not evicted, and if it were unlinked its bytes would stay alive.

#include "entrepot/base/result.h"
#include "entrepot/io/buffer_pool.h"
#include "entrepot/io/page_doubt.h"
#include "entrepot/oci/digest.h"

#include <atomic>
#include <memory>
#include <vector>

namespace entrepot {

struct EvictionEntry;

class BlobFile {
  public:
    /// `freshly_written`: this process just wrote and verified every byte, so all chunks count as verified.
    BlobFile(Digest digest, int file, std::uint64_t size, std::vector<std::uint64_t> sums, EvictionEntry* entry,
             bool freshly_written) noexcept;
    ~BlobFile();
    BlobFile(const BlobFile&) = delete;
    BlobFile& operator=(const BlobFile&) = delete;

    const Digest& digest() const noexcept { return digest_; }
    int file() const noexcept { return file_; }
    std::uint64_t size() const noexcept { return size_; }
    /// A reader used the blob: tells the eviction. Any thread; a relaxed store.
    void touch() noexcept;

    /// Whether every chunk of the range was written by this process or passed its sum since the file was opened. Until then bytes go through read_chunk even when they
    /// are in the page cache, because read-ahead brings pages that nobody summed. Any thread.
    bool verified(std::uint64_t offset, std::uint64_t length) const noexcept;

    /// About `file()`: every read_chunk is a read from the disk.
    const PageDoubt& doubt() const noexcept { return doubt_; }

    /// Reads chunk `index` (chunk_bytes each) from disk through the ring into `into` (at least chunk_bytes long) and compares its sum. Yields the chunk's bytes.
    /// Fault::storage: Code::corrupt when the sum differs or the file is shorter (the caller tells Store::quarantine), Code::io_failed when the disk refuses. Success marks the chunk verified.
    Task<Result<Bytes>> read_chunk(std::uint64_t index, Buffer& into);

  private:
    Digest digest_;
    int file_;
    std::uint64_t size_;
    std::vector<std::uint64_t> sums_;
    std::unique_ptr<std::atomic<bool>[]> verified_;  ///< one per chunk
    PageDoubt doubt_;
    EvictionEntry* entry_;
};

using BlobRef = std::shared_ptr<BlobFile>;

}  // namespace entrepot
