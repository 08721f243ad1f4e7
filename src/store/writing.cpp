// How a blob comes in: its digest is claimed, room is reserved, the partial file is opened and perhaps resumed; and how that ends.

#include "store/file_blob_writer.h"
#include "store/warehouse.h"

#include <fcntl.h>

#include <algorithm>

namespace entrepot {

std::uint64_t Warehouse::unknown_length_step() const noexcept {
    return std::min(options_.unknown_length_bytes, std::max(capacity_.limit() / 8, MiB));
}

Task<Result<std::unique_ptr<BlobWriter>>> Warehouse::begin(const Digest& digest_given, std::optional<std::uint64_t> length,
                                                           Digester& resumed) {
    auto digest = digest_given;
    if (!takes_blobs()) co_return Error{Fault::storage, Code::io_failed};
    auto take = [this, &digest] { return claim(digest); };
    auto claimed = co_await run_at_owner(take);
    if (!claimed) co_return claimed.error();
    auto kept = claimed->kept;
    if (kept && !kept->volume->health().takes_writes()) co_await give_up_kept(kept);

    auto* volume = kept ? kept->volume : choose_volume(volumes_, digest);
    Reservation reservation(capacity_, kept ? kept->charged_bytes : 0);
    Result<std::unique_ptr<FileBlobWriter>> writer = Error{Fault::storage, Code::io_failed};  // no volume takes writes
    if (volume) {
        auto wanted = disk_bytes(length ? *length : unknown_length_step());
        auto missing = wanted - std::min(wanted, reservation.bytes());
        auto reserved = co_await reserve(missing);
        if (reserved) reservation.add(missing);
        if (reserved) writer = co_await start_writer(digest, length, resumed, *volume, reservation, kept);
        else writer = reserved.error();
    }
    if (writer) {
        bool first_time = options_.memory_bytes > 0 && !claimed->wanted_lately;
        if (first_time && length && *length >= past_memory_bytes_min) (*writer)->may_pass_memory_by();
        co_return std::unique_ptr<BlobWriter>(*std::move(writer));
    }
    if (kept) reservation.become_use(kept->charged_bytes);
    co_await end_writing(digest, kept);
    co_return writer.error();
}

Task<Result<Warehouse::Claim>> Warehouse::claim(const Digest& digest_given) {
    auto digest = digest_given;
    Claim claim;
    for (;;) {
        if (writing_.contains(digest)) co_return Error{Fault::capacity, Code::busy};
        auto* entry = table_.find(digest);
        bool leaving = entry && entry->place == EvictionEntry::Place::leaving;
        if (!entry && !busy_.contains(digest)) break;
        // Somebody writes what we have: our copy is not good enough for him.
        if (entry && !leaving) co_await take_out(digest, false);
        else co_await changed_.wait();
    }
    writing_.insert(digest);
    claim.wanted_lately = opened_.take(digest);
    if (claim.wanted_lately) opened_.remember(digest, 0);  // whatever becomes of this fetch
    claim.kept = partials_.take(digest);
    if (claim.kept) counters_.partial_bytes.fetch_sub(claim.kept->charged_bytes, std::memory_order_relaxed);
    co_return claim;
}

/// What was kept lies where nothing can be written now: the blob goes to another volume, from its beginning.
Task<void> Warehouse::give_up_kept(std::optional<KeptPartial>& kept) {
    co_await unlink_partial(*kept->volume, kept->digest);
    capacity_.give_back(kept->charged_bytes);
    kept.reset();
}

/// A file system may be out of inodes while it has room: one blob has to go for one to come.
Task<Result<int>> Warehouse::open_partial(Volume& volume, const std::string& name, std::uint32_t flags) {
    auto file = co_await open_file(volume.partials(), name.c_str(), O_RDWR | O_CREAT | flags, 0600);
    if (eviction_may_help(-file)) {
        auto room = co_await make_disk_room(volume, 0);
        if (room) file = co_await open_file(volume.partials(), name.c_str(), O_RDWR | O_CREAT | flags, 0600);
    }
    if (file >= 0) co_return file;
    note_write_error(volume, "making a partial file", -file);
    co_return disk_error(-file);
}

/// Takes `reservation` over only when it succeeds. `kept` becomes empty when what was kept proves worthless.
Task<Result<std::unique_ptr<FileBlobWriter>>> Warehouse::start_writer(const Digest& digest, std::optional<std::uint64_t> length,
                                                                      Digester& resumed, Volume& volume, Reservation& reservation,
                                                                      std::optional<KeptPartial>& kept) {
    auto name = flat_name(digest);
    auto file = co_await open_partial(volume, name, 0);
    if (!file) co_return file.error();
    struct ::stat status {};
    int known = Loop::current().ring().status(*file, status);
    auto file_bytes = known >= 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
    auto writer = std::make_unique<FileBlobWriter>(*this, volume, digest, *file, Reservation());
    Result<void> ready;
    if (file_bytes > 0) co_await writer->resume(file_bytes, length, resumed);
    if (file_bytes > 0 && writer->written() == 0) {
        // Nothing of it can be trusted: begin with an empty file.
        writer->give_up();
        writer.reset();
        file = co_await open_partial(volume, name, O_TRUNC);
        if (!file) co_return file.error();
        file_bytes = 0;
        kept.reset();
        writer = std::make_unique<FileBlobWriter>(*this, volume, digest, *file, Reservation());
    }
    if (length && *length > file_bytes) ready = co_await allocate(volume, *file, *length);
    if (!ready) {
        writer->give_up();
        writer.reset();
        if (file_bytes == 0) co_await unlink_partial(volume, digest);
        co_return ready.error();
    }
    writer->reservation() = std::move(reservation);
    co_return writer;
}

/// Blocks for the whole length at once: fewer fragments, and a full disk says so now. Where the file system cannot do it, writes will find out.
Task<Result<void>> Warehouse::allocate(Volume& volume, int file, std::uint64_t length) {
    auto result = co_await allocate_file(file, length);
    if (eviction_may_help(-result)) {
        auto room = co_await make_disk_room(volume, length);
        if (room) result = co_await allocate_file(file, length);
    }
    if (result >= 0 || result == -EOPNOTSUPP || result == -ENOSYS || result == -EINTR) co_return Result<void>();
    note_write_error(volume, "allocating a blob", -result);
    co_return disk_error(-result);
}

Task<Result<EvictionEntry*>> Warehouse::admit(const Digest& digest, const BlobRecord& record, std::vector<LedgerChange> changes) {
    changes.push_back(PutBlob{digest, record});
    auto applied = co_await ledger_->apply(std::move(changes));
    if (!applied) co_return applied.error();
    auto size = record.size;
    auto enter = [this, &digest, size] { return admit_at_owner(digest, size); };
    auto entry = co_await run_at_owner(enter);
    if (entry) co_return entry;
    std::vector<LedgerChange> undo;
    undo.push_back(RemoveBlob{digest});
    [[maybe_unused]] auto undone = co_await ledger_->apply(std::move(undo));
    co_return entry;
}

Task<Result<EvictionEntry*>> Warehouse::admit_at_owner(const Digest& digest_given, std::uint64_t size) {
    auto digest = digest_given;
    ASSERT(writing_.contains(digest) && !table_.find(digest));
    auto* entry = eviction_->insert(digest, disk_bytes(size));
    if (!entry) {
        // The table's bound, not the disk's: one has to go for one to come.
        co_await evict_blobs(1, nullptr);
        entry = eviction_->insert(digest, disk_bytes(size));
        if (!entry) co_return Error{Fault::capacity, Code::no_space};
    }
    bool pinned = entry->pin();
    ASSERT(pinned);
    writing_.erase(digest);
    opened_.remember(digest, entry->bytes);
    table_.insert(*entry);
    counters_.blobs.fetch_add(1, std::memory_order_relaxed);
    counters_.bytes.fetch_add(entry->bytes, std::memory_order_relaxed);
    changed_.notify_all();
    co_return entry;
}

Task<void> Warehouse::end_writing(const Digest& digest_given, std::optional<KeptPartial> kept) {
    auto digest = digest_given;
    auto release = [this, &digest, &kept] { return release_claim(digest, kept); };
    co_await call_owner(release);
}

bool Warehouse::release_claim(const Digest& digest, const std::optional<KeptPartial>& kept) {
    writing_.erase(digest);
    if (kept) keep_partial(*kept);
    changed_.notify_all();
    return true;
}

}  // namespace entrepot
