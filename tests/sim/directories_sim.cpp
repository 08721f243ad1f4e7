// The roots of volumes (the blocking half of the ring's seam) on simulated disks.

#include "entrepot/io/directory.h"
#include "entrepot/io/ring.h"

#include "world.h"

#include <algorithm>
#include <functional>

namespace entrepot {
namespace {

Error storage_error(int error) { return {Fault::storage, Code::io_failed, error}; }

sim::Descriptor& directory_of(int fd) {
    auto& descriptor = sim::World::current().descriptor(fd);
    if (!descriptor.inode || !descriptor.inode->is_directory) sim::violation("a descriptor that should be a directory is none");
    return descriptor;
}

}  // namespace

Result<std::vector<std::string>> list_directory(int directory) { return list_some(directory, SIZE_MAX); }

Result<std::vector<std::string>> list_some(int directory, std::size_t count_max) {
    auto& world = sim::World::current();
    auto& inode = *directory_of(directory).inode;
    if (world.strikes(world.faults.name_error, "error on a name")) return storage_error(EIO);
    std::vector<std::string> names;
    for (const auto& [name, entry] : inode.entries) names.push_back(name);
    // A directory has no order.
    for (std::size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[world.random.below(i)]);
    names.resize(std::min(names.size(), count_max));
    return names;
}

Result<int> open_directory(const std::string& path, bool) {
    auto& world = sim::World::current();
    auto disk = world.disks.find(path);
    if (disk == world.disks.end()) return storage_error(ENOENT);
    return world.open_root(*disk->second);
}

Result<void> lock_directory(int directory) {
    auto& locking = directory_of(directory);
    if (sim::World::current().is_locked(*locking.inode)) return Error{Fault::storage, Code::busy, EWOULDBLOCK};
    locking.locked = true;
    return {};
}

void close_directory(int directory) noexcept {
    directory_of(directory);
    sim::World::current().close(directory);
}

Result<FileSystem> file_system_of(int directory) {
    const auto& disk = *directory_of(directory).disk;
    return FileSystem{std::hash<std::string>{}(disk.name()), disk.capacity()};
}

}  // namespace entrepot
