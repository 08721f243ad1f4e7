#include "entrepot/store/blob_file.h"

#include "entrepot/store/eviction.h"
#include "entrepot/store/ledger.h"
#include "store/chunk_reader.h"
#include "store/chunk_sums.h"
#include "store/volume.h"

#include <algorithm>
#include <cerrno>

namespace entrepot {

BlobFile::BlobFile(Digest digest, int file, std::uint64_t size, std::vector<std::uint64_t> sums, EvictionEntry* entry,
                   bool freshly_written, DirectFile direct) noexcept
    : digest_(digest), file_(file), size_(size), sums_(std::move(sums)),
      verified_(std::make_unique<std::atomic<bool>[]>(sums_.size())), entry_(entry), direct_(std::move(direct)) {
    ASSERT(sums_.size() == chunk_count(size_));
    ASSERT(entry_->pinned());
    if (!freshly_written) return;
    for (std::size_t i = 0; i < sums_.size(); ++i) verified_[i].store(true, std::memory_order_relaxed);
}

BlobFile::~BlobFile() {
    Loop::current().ring().close(file_);
    entry_->unpin();
}

void BlobFile::touch() noexcept { entry_->touch(); }

bool BlobFile::verified(std::uint64_t offset, std::uint64_t length) const noexcept {
    ASSERT(offset <= size_ && length <= size_ - offset);
    if (length == 0) return true;
    for (auto chunk = offset / chunk_bytes, last = (offset + length - 1) / chunk_bytes; chunk <= last; ++chunk) {
        if (!verified_[chunk].load(std::memory_order_relaxed)) return false;
    }
    return true;
}

bool BlobFile::suits_direct_read() const noexcept {
    return direct_ && !direct_refused_.load(std::memory_order_relaxed) && readers_.load(std::memory_order_relaxed) == 1;
}

Task<Result<Bytes>> BlobFile::read_chunk(std::uint64_t index, Buffer& into, ReadVia via) {
    if (size_ == 0) co_return Bytes();  // no bytes, no chunk, no sum
    ASSERT(index < sums_.size() && into.bytes().size() >= chunk_bytes);
    auto offset = index * chunk_bytes;
    auto chunk = into.bytes().first(std::min(chunk_bytes, size_ - offset));
    if (via == ReadVia::disk) {
        auto read = co_await read_past_memory(direct_.file(), offset, into.bytes(), chunk.size(), into.index());
        bool refused = !read && read.error().detail == EINVAL;
        if (!read && !refused) co_return read.error();
        if (refused) {
            direct_refused_.store(true, std::memory_order_relaxed);
            via = ReadVia::page_cache;
        }
    }
    if (via == ReadVia::page_cache) {
        auto read = co_await read_through_memory(offset, chunk, into.index());
        if (!read) co_return read.error();
    }
    co_await BulkTurn{};
    if (sum_of_chunk(chunk) != sums_[index]) co_return Error{Fault::storage, Code::corrupt};
    verified_[index].store(true, std::memory_order_relaxed);
    co_return Bytes(chunk);
}

Task<Result<void>> BlobFile::read_through_memory(std::uint64_t offset, MutableBytes into, int buffer_index) {
    while (!into.empty()) {
        co_await BulkTurn{};  // what is in memory is copied inside the submission
        auto& loop = Loop::current();
        bool reads_disk = !loop.ring().resident(file_, offset, into.size(), true);
        if (reads_disk) doubt_.read_begins();
        auto read = co_await read_file(file_, into, offset, buffer_index);
        if (reads_disk) doubt_.read_ended(loop.time());
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read < 0) co_return disk_error(-read);
        if (read == 0) co_return Error{Fault::storage, Code::corrupt};  // the file was cut short behind our back
        offset += static_cast<std::uint64_t>(read);
        into = into.subspan(static_cast<std::size_t>(read));
    }
    co_return Result<void>();
}

}  // namespace entrepot
