#pragma once
// A blob on its way into the store: bytes go into a partial file that survives a restart, and become findable only by publish(). One fetch owns it;
// others may read written ranges of its descriptor.
//
//   begin ──> writing ──publish()──> published
//                └──────abandon()──> gone, or kept for a later resume
//
// Written data is summed per chunk as it comes; the sums of whole chunks go to a side file, so that a resume after power loss trusts only chunks whose sum still
// matches. Disk order: data, fdatasync, rename, fsync of the directory, ledger. A failed sync is never retried (ext4 marks the page clean): the file is given up.

#include "entrepot/store/blob_file.h"
#include "entrepot/store/ledger.h"

namespace entrepot {

/// How bytes go to the disk (docs/decisions/0015-a-first-fill-goes-past-the-page-cache.md).
enum class WriteVia : std::uint8_t {
    page_cache,  ///< and stay there for whoever follows
    disk,  ///< out of the buffer alone, for less than half of the kernel's CPU; whoever follows needs the buffer, or reads them back
};

class BlobWriter {
  public:
    static constexpr unsigned writes_max = 4;  ///< on their way to a disk at once: hides its latency

    virtual ~BlobWriter() = default;

    /// Appends; order of calls is order on disk; at most BufferPool::buffer_bytes. `bytes` belongs to the kernel until it returns, and lies in `buffer_index`'s region when that is
    /// >= 0. One at a time, but WriteVia::disk may be called again, up to `writes_max` at once, while room for all of the blob was reserved at its begin (its length is known). WriteVia::disk
    /// where passes_memory_by(), of whole buffers at a multiple of their size; what a file system refuses goes through the page cache.
    /// A full disk gets one chance: others are evicted and the write is tried again.
    /// Fault::storage (no_space, io_failed): the writer takes no more bytes, what was written stays readable.
    virtual Task<Result<void>> append(Bytes bytes, int buffer_index, WriteVia via = WriteVia::page_cache) = 0;
    /// Nobody wanted this blob for long, and its file can be written past the page cache.
    virtual bool passes_memory_by() const noexcept = 0;
    /// Bytes that reached the file without a gap; the range [0, written) may be read from file().
    virtual std::uint64_t written() const noexcept = 0;
    /// Stays open until the writer is destroyed, whatever became of the blob: other shards may be sending from it.
    virtual int file() const noexcept = 0;
    /// The caller verified length and digest. Makes the blob findable, and `with` true in the same transaction: no crash leaves a blob without what says whose it is. The
    /// result is open and pinned. When it fails, the file is gone and nothing of `with` is true: nothing is left to abandon.
    virtual Task<Result<BlobRef>> publish(std::vector<LedgerChange> with = {}) = 0;
    /// `keep`: the partial file stays for a resume (bounded in number and age by the store) if at least two whole chunks of it do; otherwise it goes at once.
    /// Every writer ends by publish() or abandon() before it is destroyed.
    virtual Task<void> abandon(bool keep) = 0;
};

}  // namespace entrepot
