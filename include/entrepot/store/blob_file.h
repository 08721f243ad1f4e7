#pragma once
// An open, published blob: immutable bytes under a descriptor. Shared by any number of readers on any shard; the last one closes it. While one exists the
// blob is not evicted, and if it were unlinked its bytes would stay alive.

#include "entrepot/base/result.h"
#include "entrepot/io/buffer_pool.h"
#include "entrepot/io/page_doubt.h"
#include "entrepot/oci/digest.h"
#include "entrepot/store/direct_file.h"

#include <atomic>
#include <memory>
#include <vector>

namespace entrepot {

struct EvictionEntry;

/// How a chunk comes from the disk (docs/decisions/0009-a-first-cold-read-goes-past-the-page-cache.md).
enum class ReadVia : std::uint8_t {
    page_cache,  ///< and stays there for whoever is next
    disk,        ///< into the buffer alone, for less than half the CPU
};

class BlobFile {
  public:
    /// `freshly_written`: this process just wrote and verified every byte, so all chunks count as verified.
    BlobFile(Digest digest, int file, std::uint64_t size, std::vector<std::uint64_t> sums, EvictionEntry* entry,
             bool freshly_written, DirectFile direct = {}) noexcept;
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

    /// About `file()`: every read_chunk of what is not in memory is a read from the disk.
    const PageDoubt& doubt() const noexcept { return doubt_; }

    /// Whether a reader who finds a chunk neither verified nor in memory should read it past the page cache: nobody else is sending this blob, and its opener knew that
    /// nobody had wanted it for long. Any thread.
    bool suits_direct_read() const noexcept;

    /// Reads chunk `index` (chunk_bytes each) from disk through the ring into `into` (at least chunk_bytes long) and compares its sum. Yields the chunk's bytes.
    /// ReadVia::disk where suits_direct_read(); a file system that refuses such reads gets the others from then on.
    /// Fault::storage: Code::corrupt when the sum differs or the file is shorter (the caller tells Store::quarantine), Code::io_failed when the disk refuses. Success marks the chunk verified.
    Task<Result<Bytes>> read_chunk(std::uint64_t index, Buffer& into, ReadVia via = ReadVia::page_cache);

  private:
    friend class BlobReader;
    Task<Result<void>> read_through_memory(std::uint64_t offset, MutableBytes into, int buffer_index);

    Digest digest_;
    int file_;
    std::uint64_t size_;
    std::vector<std::uint64_t> sums_;
    std::unique_ptr<std::atomic<bool>[]> verified_;  ///< one per chunk
    PageDoubt doubt_;
    EvictionEntry* entry_;
    DirectFile direct_;
    std::atomic<bool> direct_refused_{false};
    std::atomic<unsigned> readers_{0};
};

/// Somebody sends the blob to a client, for as long as this lives. Any thread.
class BlobReader {
  public:
    explicit BlobReader(BlobFile& blob) noexcept : blob_(blob) { blob_.readers_.fetch_add(1, std::memory_order_relaxed); }
    ~BlobReader() { blob_.readers_.fetch_sub(1, std::memory_order_relaxed); }
    BlobReader(const BlobReader&) = delete;
    BlobReader& operator=(const BlobReader&) = delete;

  private:
    BlobFile& blob_;
};

using BlobRef = std::shared_ptr<BlobFile>;

}  // namespace entrepot
