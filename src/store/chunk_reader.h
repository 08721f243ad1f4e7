#pragma once
// The file of a stored blob, chunk by chunk, for somebody who looks whether its bytes are still right: into memory of its own, past the page cache when the file was
// opened that way (docs/decisions/0009-a-first-cold-read-goes-past-the-page-cache.md), so that looking costs nobody's pages or buffers.

#include "entrepot/io/await.h"
#include "entrepot/store/ledger.h"

#include <cstdlib>
#include <memory>

namespace entrepot {

/// Reads `bytes` at `offset` of a descriptor opened with O_DIRECT into `memory`, which is at least as long, rounded up to whole blocks, and aligned like `offset` to
/// DirectFile::alignment. Fault::storage: Code::corrupt when the file ends before; the disk's errno in `detail`, EINVAL where the file system knows no such reads.
Task<Result<void>> read_past_memory(int file, std::uint64_t offset, MutableBytes memory, std::size_t bytes, int buffer_index);

class ChunkReader {
  public:
    /// Takes over `file`. `direct`: it was opened with O_DIRECT.
    ChunkReader(int file, std::uint64_t size, bool direct);
    ~ChunkReader();
    ChunkReader(const ChunkReader&) = delete;
    ChunkReader& operator=(const ChunkReader&) = delete;

    std::uint64_t chunks() const noexcept { return chunk_count(size_); }
    bool direct() const noexcept { return direct_; }
    /// Valid until the next call. Fails as read_past_memory does.
    Task<Result<Bytes>> read(std::uint64_t index);

  private:
    struct Free {
        void operator()(std::byte* memory) const noexcept { std::free(memory); }
    };
    Task<Result<void>> read_through_memory(std::uint64_t offset, MutableBytes into);

    int file_;
    std::uint64_t size_;
    bool direct_;
    std::unique_ptr<std::byte, Free> memory_;
};

}  // namespace entrepot
