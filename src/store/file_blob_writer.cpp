#include "store/file_blob_writer.h"

#include "entrepot/base/clock.h"
#include "entrepot/base/log.h"
#include "entrepot/store/eviction.h"
#include "store/small_file.h"
#include "store/warehouse.h"

#include <fcntl.h>

#include <algorithm>
#include <vector>

namespace entrepot {

// So no two of several appends at once find one to begin.
static_assert(FileBlobWriter::write_back_bytes > 2 * BlobWriter::writes_max * BufferPool::buffer_bytes);
constexpr std::uint64_t sums_file_bytes_max = 64 * MiB;  // 2 TiB of blob

FileBlobWriter::FileBlobWriter(Warehouse& store, Volume& volume, const Digest& digest, int file, Reservation reservation) noexcept
    : store_(store), volume_(volume), digest_(digest), name_(flat_name(digest)), file_(file),
      reservation_(std::move(reservation)) {}

FileBlobWriter::~FileBlobWriter() {
    ASSERT(state_ == State::published || state_ == State::gone);
    auto& ring = Loop::current().ring();
    if (sums_file_ >= 0) ring.close(sums_file_);
    if (!published_) ring.close(file_);
}

Task<void> FileBlobWriter::resume(std::uint64_t file_bytes, std::optional<std::uint64_t> length, Digester& resumed) {
    auto sums_name = name_ + ".sums";
    auto text = co_await read_small_file(volume_.partials(), sums_name, sums_file_bytes_max);
    has_sums_ = text.has_value();
    if (!text || (length && file_bytes > *length)) co_return;
    auto sums = parse_sums_file(*text);
    auto count = std::min<std::uint64_t>(sums.size(), file_bytes / chunk_bytes);
    if (count > 0 && (!length || count * chunk_bytes >= *length)) --count;
    std::vector<std::byte> memory(chunk_bytes);
    std::uint64_t trusted = 0;
    while (trusted < count) {
        bool matches = co_await chunk_matches(trusted, sums[trusted], memory, resumed);
        if (!matches) break;
        ++trusted;
    }
    sums.resize(trusted);
    sums_saved_ = trusted;
    placed_ = written_ = write_back_from_ = trusted * chunk_bytes;
    summer_ = ChunkSummer(std::move(sums));
}

/// Each chunk costs a turn of the loop, so that hashing a long prefix delays nobody for more than one chunk.
Task<bool> FileBlobWriter::chunk_matches(std::uint64_t index, std::uint64_t sum, MutableBytes into, Digester& resumed) {
    std::size_t have = 0;
    while (have < into.size()) {
        auto rest = into.subspan(have);
        auto read = co_await read_file(file_, rest, index * chunk_bytes + have);
        if (read == -EINTR || read == -EAGAIN) continue;
        if (read <= 0) co_return false;
        have += static_cast<std::size_t>(read);
    }
    if (sum_of_chunk(into) != sum) co_return false;
    resumed.update(into);
    co_return true;
}

Task<Result<void>> FileBlobWriter::append(Bytes bytes, int buffer_index, WriteVia via) {
    ASSERT(state_ == State::writing && bytes.size() <= BufferPool::buffer_bytes);
    if (failure_) co_return *failure_;
    ASSERT(placed_ == written_ || via == WriteVia::disk);
    auto offset = std::exchange(placed_, placed_ + bytes.size());
    summer_.update(bytes);  // in order; what is written later or never matches no sum
    auto reserved = co_await reserve_up_to(placed_);
    if (!reserved) {
        failure_ = reserved.error();
        co_return reserved;
    }
    while (!bytes.empty()) {
        auto wrote = co_await write_some(bytes, offset, buffer_index, via);
        if (wrote < 0) {
            store_.note_write_error(volume_, "writing a blob", -wrote);
            failure_ = disk_error(-wrote);
            co_return *failure_;
        }
        note_written(offset, offset + static_cast<std::uint64_t>(wrote));
        offset += static_cast<std::uint64_t>(wrote);
        bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
    if (written_ - write_back_from_ >= write_back_bytes) {
        auto to = written_, from = std::exchange(write_back_from_, to);
        // One write-back at a time: a disk that cannot keep up slows its writers here, instead of dirty pages throttling everybody later.
        co_await behind_.close();
        behind_.start(write_back(from, to));
    }
    co_return Result<void>();
}

void FileBlobWriter::note_written(std::uint64_t offset, std::uint64_t end) {
    beyond_.emplace(offset, end);
    for (auto next = beyond_.begin(); next != beyond_.end() && next->first == written_; next = beyond_.erase(next))
        written_ = next->second;
}

Task<Result<void>> FileBlobWriter::reserve_up_to(std::uint64_t end) {
    auto needed = disk_bytes(end);
    if (needed <= reservation_.bytes()) co_return Result<void>();
    auto missing = needed - reservation_.bytes();
    auto step = std::max(missing, store_.unknown_length_step());
    auto reserved = co_await store_.reserve(step);
    if (!reserved && step > missing) {
        step = missing;
        reserved = co_await store_.reserve(step);
    }
    if (reserved) reservation_.add(step);
    co_return reserved;
}

/// What a short write leaves over may be of any length: it goes through memory. So does what comes while the descriptor is being opened.
Task<bool> FileBlobWriter::goes_past_memory(std::uint64_t offset, std::size_t size, WriteVia via) {
    bool wanted = via == WriteVia::disk && passes_memory_by() && (offset | size) % DirectFile::alignment == 0;
    if (!wanted || opening_direct_) co_return false;
    if (!direct_) {
        opening_direct_ = true;
        direct_ = co_await store_.open_past_memory(volume_.partials(), name_, O_WRONLY);
        opening_direct_ = false;
        if (!direct_) past_memory_ = PastMemory::refused;
    }
    co_return bool(direct_);
}

/// Bytes written, at least one, or -errno. A full disk gets one chance: others leave, then the write is tried again.
Task<std::int32_t> FileBlobWriter::write_some(Bytes bytes, std::uint64_t offset, int buffer_index, WriteVia via) {
    bool made_room = false;
    for (int interruptions = 0; interruptions < interruptions_max;) {
        bool direct = co_await goes_past_memory(offset, bytes.size(), via);
        auto wrote = co_await write_file(direct ? direct_.file() : file_, bytes, offset, buffer_index);
        if (wrote > 0) {
            passed_memory_by_ |= direct;
            co_return wrote;
        }
        if (direct && wrote == -EINVAL) {
            past_memory_ = PastMemory::refused;
            continue;
        }
        if (wrote == -EINTR || wrote == -EAGAIN) {
            ++interruptions;
            continue;
        }
        if (!eviction_may_help(-wrote) || made_room) co_return wrote == 0 ? -EIO : wrote;
        made_room = true;
        auto room = co_await store_.make_disk_room(volume_, bytes.size());
        if (!room) co_return wrote;
    }
    co_return -EIO;
}

Task<void> FileBlobWriter::write_back(std::uint64_t from, std::uint64_t to) {
    co_await save_sums();
    auto result = co_await start_write_back(file_, from, static_cast<std::uint32_t>(to - from));
    // Not every file system offers it, and data_sync tells the truth later.
    (void)result;
}

/// Best effort: what is not saved costs a resume, never truth.
Task<void> FileBlobWriter::save_sums() {
    if (sums_file_ < 0) {
        auto sums_name = name_ + ".sums";
        auto opened = co_await open_file(volume_.partials(), sums_name.c_str(), O_WRONLY | O_CREAT, 0600);
        if (opened < 0) co_return;
        sums_file_ = opened;
        has_sums_ = true;
        auto header = sums_header();
        auto header_bytes = std::as_bytes(std::span(&header, 1));
        auto wrote = co_await write_file(sums_file_, header_bytes, 0);
        if (wrote != static_cast<std::int32_t>(header_bytes.size())) co_return;
    }
    // A copy: appends go on while this waits. Only of chunks that are in the file: some are summed before they are written.
    auto& all = summer_.whole();
    auto last = std::min<std::size_t>(all.size(), written_ / chunk_bytes);
    auto first = std::min(sums_saved_, last);
    std::vector<std::uint64_t> sums(all.begin() + static_cast<std::ptrdiff_t>(first),
                                    all.begin() + static_cast<std::ptrdiff_t>(last));
    if (sums.empty()) co_return;
    auto bytes = std::as_bytes(std::span(sums));
    auto wrote = co_await write_file(sums_file_, bytes, sizeof(SumsHeader) + first * sizeof(std::uint64_t));
    if (wrote == static_cast<std::int32_t>(bytes.size())) sums_saved_ = first + sums.size();
}

Task<Result<BlobRef>> FileBlobWriter::publish(std::vector<LedgerChange> with) {
    ASSERT(state_ == State::writing && !failure_ && beyond_.empty());
    state_ = State::ending;
    direct_ = DirectFile();
    co_await behind_.close();
    auto finished = co_await finish_file();
    if (!finished) {
        co_await drop();
        co_return finished.error();
    }
    auto blob = co_await make_findable(std::move(with));
    if (!blob) co_await drop();
    co_return blob;
}

/// Data, name, directory: each durable before the next. After a failed sync the pages look clean though they may not be on disk, so nothing is tried twice.
Task<Result<void>> FileBlobWriter::finish_file() {
    struct ::stat status {};
    int known = Loop::current().ring().status(file_, status);
    if (known < 0) co_return disk_error(-known);
    // A promised length that was not met left allocated zeros behind, or a kept file was longer than this blob.
    if (static_cast<std::uint64_t>(status.st_size) != written_) co_return Error{Fault::storage, Code::wrong_length};
    auto synced = co_await data_sync(file_);
    if (synced < 0) {
        store_.note_write_error(volume_, "syncing a blob", -synced);
        co_return disk_error(-synced);
    }
    auto directory = volume_.blobs(digest_.algorithm());
    auto final_name = digest_.hex();
    // A file of this name is a stray: no record, no entry. It is replaced.
    auto renamed = co_await rename_file(volume_.partials(), name_.c_str(), directory, final_name.c_str(), 0);
    if (renamed < 0) {
        store_.note_write_error(volume_, "naming a blob", -renamed);
        co_return disk_error(-renamed);
    }
    renamed_ = true;
    synced = co_await sync_file(directory);
    if (synced < 0) {
        store_.note_write_error(volume_, "syncing a directory", -synced);
        co_return disk_error(-synced);
    }
    volume_.health().note_success();
    co_return Result<void>();
}

Task<Result<BlobRef>> FileBlobWriter::make_findable(std::vector<LedgerChange> with) {
    BlobRecord record;
    record.size = written_;
    record.volume = volume_.index();
    record.created = wall_seconds();
    record.sums = summer_.finish();
    auto entry = co_await store_.admit(digest_, record, std::move(with));
    if (!entry) co_return entry.error();
    reservation_.become_use(disk_bytes(written_));
    // What is not in memory is summed when it is read back, like any other blob of the disk.
    published_ = std::make_shared<BlobFile>(digest_, file_, written_, std::move(record.sums), *entry, !passed_memory_by_);
    state_ = State::published;
    auto sums_name = name_ + ".sums";
    if (has_sums_) co_await unlink_file(volume_.partials(), sums_name.c_str());
    co_return published_;
}

Task<void> FileBlobWriter::abandon(bool keep_it) {
    ASSERT(state_ == State::writing);
    state_ = State::ending;
    direct_ = DirectFile();
    co_await behind_.close();
    std::optional<KeptPartial> kept;
    if (keep_it) kept = co_await keep();
    if (!kept) {
        co_await drop();
        co_return;
    }
    state_ = State::gone;
    co_await store_.end_writing(digest_, kept);
}

/// What a resume may use, or nullopt when that is nothing.
Task<std::optional<KeptPartial>> FileBlobWriter::keep() {
    co_await save_sums();
    struct ::stat status {};
    bool usable = sums_saved_ > 1 && Loop::current().ring().status(file_, status) >= 0;
    if (!usable) co_return std::nullopt;
    KeptPartial kept;
    kept.digest = digest_;
    kept.volume = &volume_;
    kept.charged_bytes = std::min(reservation_.bytes(), disk_bytes(static_cast<std::uint64_t>(status.st_size)));
    kept.resumable_bytes = (sums_saved_ - 1) * chunk_bytes;
    kept.kept_at = wall_seconds();
    reservation_.become_use(kept.charged_bytes);
    co_return kept;
}

Task<void> FileBlobWriter::drop() {
    if (renamed_) (void)co_await store_.remove_file(volume_, digest_);
    co_await store_.unlink_partial(volume_, digest_);
    reservation_.release();
    state_ = State::gone;
    std::optional<KeptPartial> nothing;
    co_await store_.end_writing(digest_, nothing);
}

}  // namespace entrepot
