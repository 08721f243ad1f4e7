#pragma once
// BlobWriter over a partial file of a volume. Lives on the loop that began it; the warehouse's owner keeps its digest for it until it ends.

#include "entrepot/store/blob_writer.h"
#include "store/capacity.h"
#include "store/chunk_sums.h"
#include "store/volume.h"

#include <map>

namespace entrepot {

class Warehouse;
struct KeptPartial;

class FileBlobWriter final : public BlobWriter {
  public:
    /// Dirty pages a writer may leave behind before it starts their write-back, and how many bytes a kill may cost a resume.
    static constexpr std::uint64_t write_back_bytes = 4 * MiB;
    static constexpr int interruptions_max = 64;  ///< EINTR and EAGAIN in a row before a write counts as failed

    /// Takes over `file`, the open partial file.
    FileBlobWriter(Warehouse& store, Volume& volume, const Digest& digest, int file, Reservation reservation) noexcept;
    ~FileBlobWriter() override;

    /// Feeds `resumed` with the chunks of the file whose sums match, from the front, and goes on behind them. Never all of the blob: the last chunk is left to fetch when
    /// `length` is unknown or the chunks reach it, because upstreams refuse an empty range.
    Task<void> resume(std::uint64_t file_bytes, std::optional<std::uint64_t> length, Digester& resumed);

    Task<Result<void>> append(Bytes bytes, int buffer_index, WriteVia via = WriteVia::page_cache) override;
    bool passes_memory_by() const noexcept override { return past_memory_ == PastMemory::allowed; }
    std::uint64_t written() const noexcept override { return written_; }
    int file() const noexcept override { return file_; }
    Task<Result<BlobRef>> publish(std::vector<LedgerChange> with = {}) override;
    Task<void> abandon(bool keep) override;

    Reservation& reservation() noexcept { return reservation_; }
    /// From now on bytes may go past the page cache.
    void may_pass_memory_by() noexcept { past_memory_ = PastMemory::allowed; }
    /// It never began: forgets the file without touching it.
    void give_up() noexcept { state_ = State::gone; }

  private:
    enum class State : std::uint8_t { writing, ending, published, gone };
    enum class PastMemory : std::uint8_t { unwanted, allowed, refused };

    Task<Result<void>> reserve_up_to(std::uint64_t end);
    Task<std::int32_t> write_some(Bytes bytes, std::uint64_t offset, int buffer_index, WriteVia via);
    Task<bool> goes_past_memory(std::uint64_t offset, std::size_t size, WriteVia via);
    void note_written(std::uint64_t offset, std::uint64_t end);
    Task<bool> chunk_matches(std::uint64_t index, std::uint64_t sum, MutableBytes into, Digester& resumed);
    Task<void> write_back(std::uint64_t from, std::uint64_t to);
    Task<void> save_sums();
    Task<Result<void>> finish_file();
    Task<Result<BlobRef>> make_findable(std::vector<LedgerChange> with);
    Task<void> drop();
    Task<std::optional<KeptPartial>> keep();

    Warehouse& store_;
    Volume& volume_;
    Digest digest_;
    std::string name_;  // in the volume's partial directory
    int file_;
    int sums_file_ = -1;
    PastMemory past_memory_ = PastMemory::unwanted;
    DirectFile direct_;  // the same file, from the first write that goes past memory to the end of writing
    bool opening_direct_ = false;
    bool passed_memory_by_ = false;  // some of the bytes
    bool has_sums_ = false;          // a side file exists
    Reservation reservation_;
    ChunkSummer summer_;
    std::uint64_t placed_ = 0;  // where the next append goes
    std::uint64_t written_ = 0;
    std::map<std::uint64_t, std::uint64_t> beyond_;  // begin and end of what was written before what lies in front of it
    std::uint64_t write_back_from_ = 0;
    std::size_t sums_saved_ = 0;
    State state_ = State::writing;
    bool renamed_ = false;  // the file has its final name
    std::optional<Error> failure_;
    TaskGroup behind_;   // at most one write-back
    BlobRef published_;  // keeps file() open for those who follow this writer
};

}  // namespace entrepot
