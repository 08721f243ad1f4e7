// The half of the simulated ring that concerns files.

#include "ring_sim.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace entrepot::sim {

using Kind = Request::Kind;

namespace {

constexpr std::uint64_t read_ahead_pages_max = 64;
constexpr Duration read_ahead_time_max = milliseconds(500);

}  // namespace

Descriptor& SimRing::file_of(int fd) {
    auto& descriptor = world_.descriptor(fd);
    if (!descriptor.inode) violation(fmt::format("descriptor {} is no file", fd));
    return descriptor;
}

std::int64_t SimRing::send_file_now(int fd, int file, std::uint64_t offset, std::size_t length) {
    auto& inode = *file_of(file).inode;
    if (offset >= inode.data.size()) return 0;
    length = std::min<std::uint64_t>(length, inode.data.size() - offset);
    // The real call would block the shard until the disk delivers. Pages that were reclaimed a moment ago are bad luck; pages that are on their way are a question not asked.
    if (inode.coming(offset, length)) violation("sendfile waits for read-ahead");
    if (!inode.resident(offset, length, true)) ++world_.counts["sendfile from cold pages"];
    auto sent = world_.network.send(socket_of(fd), bytes_of(std::string_view(inode.data).substr(offset, length)), true);
    world_.note("sends file", static_cast<std::uint64_t>(fd), static_cast<std::uint64_t>(sent));
    return sent;
}

bool SimRing::resident(int file, std::uint64_t offset, std::uint64_t length, bool closely) {
    return length == 0 || file_of(file).inode->resident(offset, length, closely);
}

int SimRing::status(int fd, struct ::stat& into) {
    const auto& inode = *file_of(fd).inode;
    into = {};
    into.st_ino = inode.number;
    into.st_mode = inode.mode | (inode.is_directory ? S_IFDIR : S_IFREG);
    into.st_nlink = inode.links;
    into.st_size = static_cast<off_t>(inode.data.size());
    into.st_blocks = static_cast<blkcnt_t>(inode.allocated / 512);
    into.st_blksize = page_bytes;
    return 0;
}

void SimRing::perform_file(std::uint64_t number) {
    auto found = pending_.find(number);
    if (found == pending_.end()) return;  // cancelled before it began
    auto& pending = found->second;
    pending.started = true;
    auto result = file_result(pending.request);
    ++world_.disk_steps;
    world_.after(world_.disk_delay(), [world = &world_, ring = number_, number, result] {
        if (auto* self = world->ring(ring)) self->finish(number, result);
    });
}

std::int32_t SimRing::file_result(const Request& request) {
    auto& random = world_.random;
    const auto& faults = world_.faults;
    auto& file = file_of(request.fd);
    switch (request.kind) {
        case Kind::read:
        case Kind::write: return transfer(request, file);
        case Kind::data_sync:
        case Kind::sync: return sync_result(file);
        case Kind::sync_range: return random.chance(faults.sync_error) ? -EIO : 0;
        case Kind::allocate:
            if (int refused = refusal_of_write(file); refused < 0) return refused;
            return noting_full(file.disk->allocate(*file.inode, request.offset, request.size));
        default: return name_result(request);
    }
}

/// The disk's pages look clean after a failed sync: a program that tries again is told a lie (ATC'20).
std::int32_t SimRing::sync_result(Descriptor& file) {
    auto& inode = *file.inode;
    if (file.disk->read_only) return -EROFS;
    if (world_.strikes(world_.faults.sync_lies, "sync that lies")) return 0;
    if (inode.sync_failed) violation("a file is synced again after its sync failed");
    bool fails = world_.strikes(world_.faults.sync_error, "EIO of a sync");
    inode.sync_failed = fails && !inode.is_directory;
    return file.disk->sync(inode, fails);
}

std::int32_t SimRing::refusal_of_write(const Descriptor& file) {
    if (file.disk->read_only) {
        world_.count_injected("EROFS");
        return -EROFS;
    }
    if (world_.strikes(world_.faults.write_over_quota, "EDQUOT")) return -EDQUOT;
    return world_.strikes(world_.faults.write_no_space, "ENOSPC without need") ? -ENOSPC : 0;
}

std::int32_t SimRing::noting_full(std::int64_t result) {
    if (result == -ENOSPC) world_.count_injected("ENOSPC of a full disk");
    return static_cast<std::int32_t>(result);
}

std::int32_t SimRing::name_result(const Request& request) {
    if (world_.strikes(world_.faults.name_error, "error on a name")) {
        return request.kind == Kind::open && world_.random.chance(0.5) ? -EMFILE : -EIO;
    }
    auto& directory = file_of(request.fd);
    bool only_opens = request.kind == Kind::open && (request.flags & (O_ACCMODE | O_CREAT | O_TRUNC)) == O_RDONLY;
    if (directory.disk->read_only && !only_opens) {
        world_.count_injected("EROFS");
        return -EROFS;
    }
    switch (request.kind) {
        case Kind::open: return open_result(request);
        case Kind::unlink: return directory.disk->unlink(directory.inode, request.path);
        case Kind::make_directory: return directory.disk->make_directory(directory.inode, request.path, request.mode);
        case Kind::rename: {
            auto& other = file_of(request.other_fd);
            if (other.disk != directory.disk) return -EXDEV;
            return directory.disk->rename(directory.inode, request.path, other.inode, request.other_path, request.flags);
        }
        default: violation("a request kind that the simulated kernel does not know");
    }
}

std::int32_t SimRing::open_result(const Request& request) {
    auto& directory = file_of(request.fd);
    Descriptor opened;
    if (int error = directory.disk->open(directory.inode, request.path, request.flags, request.mode, opened.inode); error < 0)
        return error;
    opened.disk = directory.disk;
    opened.flags = request.flags;
    opened.process = process_;
    return world_.add(std::move(opened));
}

std::int32_t SimRing::transfer(const Request& request, Descriptor& file) {
    auto& random = world_.random;
    const auto& faults = world_.faults;
    bool writes = request.kind == Kind::write;
    bool direct = file.flags & O_DIRECT;
    auto mode = file.flags & O_ACCMODE;
    if (mode == (writes ? O_RDONLY : O_WRONLY)) return -EBADF;
    if (world_.strikes(faults.page_reclaim, "pages reclaimed")) file.disk->reclaim(*file.inode, random, random.fraction());
    if (writes ? world_.strikes(faults.write_error, "EIO of a write") : world_.strikes(faults.read_error, "EIO of a read"))
        return -EIO;
    if (int refused = writes ? refusal_of_write(file) : 0; refused < 0) return refused;
    if (world_.strikes(faults.interrupted_file, "EINTR or EAGAIN of a file")) return random.chance(0.5) ? -EINTR : -EAGAIN;
    std::uint32_t length = request.length;
    std::uint32_t unit = direct ? 512 : 1;
    if (length > unit && world_.strikes(faults.short_file_transfer, writes ? "short write" : "short read"))
        length = static_cast<std::uint32_t>(random.between(1, length / unit)) * unit;
    auto* address = static_cast<std::byte*>(request.address);
    if (writes) return noting_full(file.disk->write(*file.inode, {address, length}, request.offset, direct));
    auto read = static_cast<std::int32_t>(file.disk->read(*file.inode, {address, length}, request.offset, direct));
    if (read > 0 && direct) ++world_.counts["reads past memory"];
    if (read > 0 && !direct) read_ahead(file.inode, request.offset + static_cast<std::uint64_t>(read));
    return read;
}

/// As the kernel does behind a buffered read: the next pages are allocated now and filled later.
void SimRing::read_ahead(const InodeRef& file, std::uint64_t offset) {
    Disk::read_ahead(*file, offset, world_.random.below(read_ahead_pages_max + 1));
    if (!file->coming(offset, file->data.size())) return;
    ++world_.counts["reads ahead"];
    world_.after(world_.random.span({}, read_ahead_time_max), [file] { Disk::arrive(*file); });
}

}  // namespace entrepot::sim
