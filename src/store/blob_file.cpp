#include "entrepot/store/blob_file.h"

#include "entrepot/store/eviction.h"
#include "entrepot/store/ledger.h"
#include "store/chunk_sums.h"
#include "store/volume.h"

#include <algorithm>

namespace entrepot {

BlobFile::BlobFile(Digest digest, int file, std::uint64_t size, std::vector<std::uint64_t> sums, EvictionEntry* entry,
                   bool freshly_written) noexcept
    : digest_(digest), file_(file), size_(size), sums_(std::move(sums)),
      verified_(std::make_unique<std::atomic<bool>[]>(sums_.size())), entry_(entry) {
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

Task<Result<Bytes>> BlobFile::read_chunk(std::uint64_t index, Buffer& into) {
    if (size_ == 0) co_return Bytes();  // no bytes, no chunk, no sum
    ASSERT(index < sums_.size() && into.bytes().size() >= chunk_bytes);
    auto offset = index * chunk_bytes;
    auto chunk = into.bytes().first(std::min(chunk_bytes, size_ - offset));
    std::size_t have = 0;
    while (have < chunk.size()) {
        auto rest = chunk.subspan(have);
        co_await BulkTurn{};  // what is in memory is copied inside the submission
        doubt_.read_begins();
        auto read = co_await read_file(file_, rest, offset + have, into.index());
        doubt_.read_ended(Loop::current().time());
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read < 0) co_return disk_error(-read);
        if (read == 0) co_return Error{Fault::storage, Code::corrupt};  // the file was cut short behind our back
        have += static_cast<std::size_t>(read);
    }
    co_await BulkTurn{};
    if (sum_of_chunk(chunk) != sums_[index]) co_return Error{Fault::storage, Code::corrupt};
    verified_[index].store(true, std::memory_order_relaxed);
    co_return Bytes(chunk);
}

}  // namespace entrepot
