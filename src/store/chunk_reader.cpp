#include "store/chunk_reader.h"

#include "entrepot/base/out_of_memory.h"
#include "entrepot/store/direct_file.h"
#include "store/volume.h"

#include <algorithm>
#include <cerrno>

namespace entrepot {

constexpr auto block = DirectFile::alignment;
static_assert(chunk_bytes % block == 0);

Task<Result<void>> read_past_memory(int file, std::uint64_t offset, MutableBytes memory, std::size_t bytes, int buffer_index) {
    auto blocks_bytes = (bytes + block - 1) / block * block;
    ASSERT(blocks_bytes <= memory.size());
    auto room = memory.first(blocks_bytes);
    std::size_t have = 0;
    while (have < bytes) {
        auto rest = room.subspan(have);
        auto read = co_await read_file(file, rest, offset + have, buffer_index);
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read < 0) co_return disk_error(-read);
        auto end = have + static_cast<std::size_t>(read);
        if (end >= bytes) break;
        auto next = end / block * block;  // a read that came short is continued where a block begins
        if (next == have) co_return Error{Fault::storage, Code::corrupt};  // the file was cut short behind our back
        have = next;
    }
    co_return Result<void>();
}

ChunkReader::ChunkReader(int file, std::uint64_t size, bool direct)
    : file_(file), size_(size), direct_(direct), memory_(static_cast<std::byte*>(std::aligned_alloc(block, chunk_bytes))) {
    if (!memory_) end_out_of_memory();
}

ChunkReader::~ChunkReader() { Loop::current().ring().close(file_); }

Task<Result<Bytes>> ChunkReader::read(std::uint64_t index) {
    ASSERT(index < chunks());
    auto offset = index * chunk_bytes;
    auto length = static_cast<std::size_t>(std::min(chunk_bytes, size_ - offset));
    MutableBytes all(memory_.get(), chunk_bytes);
    auto chunk = all.first(length);
    Result<void> read;
    if (direct_) read = co_await read_past_memory(file_, offset, all, length, -1);
    else read = co_await read_through_memory(offset, chunk);
    if (!read) co_return read.error();
    co_return Bytes(chunk);
}

Task<Result<void>> ChunkReader::read_through_memory(std::uint64_t offset, MutableBytes into) {
    while (!into.empty()) {
        auto read = co_await read_file(file_, into, offset);
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read < 0) co_return disk_error(-read);
        if (read == 0) co_return Error{Fault::storage, Code::corrupt};
        offset += static_cast<std::uint64_t>(read);
        into = into.subspan(static_cast<std::size_t>(read));
    }
    co_return Result<void>();
}

}  // namespace entrepot
