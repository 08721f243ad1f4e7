#pragma once
// Sums of a stream's chunks (XXH3-64 of each chunk_bytes; the last chunk may be shorter), computed as the bytes pass, whatever the pieces they come in; and the
// side file that carries the sums of a partial file over a restart:
//
//   "ESUM", version, chunk_bytes (SumsHeader), then one u64 per whole chunk
//
// The side file is never synced: after a power cut it may be torn or older than its blob. That is its point, a chunk whose bytes do not match its sum is not trusted.

#include "entrepot/store/ledger.h"

#include <memory>
#include <string_view>
#include <vector>

namespace entrepot {

struct SumsHeader {
    char magic[4];
    std::uint32_t version;
    std::uint64_t chunk_bytes;
};
static_assert(sizeof(SumsHeader) == 16);

constexpr std::uint32_t sums_version = 1;
SumsHeader sums_header() noexcept;

/// The sums in a side file's bytes; none when the header is not ours. A torn last sum is left out.
std::vector<std::uint64_t> parse_sums_file(std::string_view bytes);

std::uint64_t sum_of_chunk(Bytes chunk) noexcept;

class ChunkSummer {
  public:
    /// Goes on behind `whole`, the sums of whole chunks that lie before.
    explicit ChunkSummer(std::vector<std::uint64_t> whole = {});
    ChunkSummer(ChunkSummer&&) noexcept;
    ChunkSummer& operator=(ChunkSummer&&) noexcept;
    ~ChunkSummer();

    void update(Bytes bytes);
    /// Sums of the whole chunks so far.
    const std::vector<std::uint64_t>& whole() const noexcept { return whole_; }
    /// All sums, the last chunk's included when it is shorter. Afterwards the summer is used up.
    std::vector<std::uint64_t> finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
    std::vector<std::uint64_t> whole_;
    std::uint64_t in_chunk_ = 0;  // bytes of the unfinished chunk
};

}  // namespace entrepot
