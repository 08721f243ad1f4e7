// Disks that refused what was written get another chance: now and then the store itself tries, in the place of somebody's pull.

#include "entrepot/io/blocking.h"
#include "store/small_file.h"
#include "store/warehouse.h"

#include <fcntl.h>

namespace entrepot {
namespace {

constexpr const char* probe_path = ".entrepot/probe";
constexpr std::size_t probe_bytes = 4096;

}  // namespace

Task<void> Warehouse::watch_disks() {
    while (!stopping_) {
        auto next = Loop::current().time() + DiskHealth::probe_pause_min;
        co_await woken_.wait(next);
        for (auto& volume : volumes_) {
            if (!stopping_ && volume->health().probe_is_due(Loop::current().time())) co_await probe(*volume);
        }
        if (!stopping_ && ledger_->health().probe_is_due(Loop::current().time())) co_await probe_ledger();
    }
}

Task<void> Warehouse::probe(Volume& volume) {
    auto result = co_await try_to_write(volume);
    if (result < 0) note_write_error(volume, "an attempt to write", -result);
    else volume.health().note_recovery();
}

/// Data, sync and names, of a file that is new each time: one whose sync failed looks clean ever after.
Task<int> Warehouse::try_to_write(Volume& volume) {
    co_await unlink_file(volume.root(), probe_path);
    auto file = co_await open_file(volume.root(), probe_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (file < 0) co_return file;
    std::string text(probe_bytes, '\n');
    auto bytes = bytes_of(text);
    auto written = co_await write_whole(file, bytes);
    int result = written ? 0 : -written.error().detail;
    if (result == 0) result = co_await data_sync(file);
    Loop::current().ring().close(file);
    auto removed = co_await unlink_file(volume.root(), probe_path);
    if (result >= 0) result = removed;
    std::string parent = ".entrepot";
    if (result < 0) co_return result;
    auto synced = co_await sync_directory(volume.root(), parent);
    co_return synced ? 0 : -synced.error().detail;
}

/// A record that says what it said before. A ledger that has no room may share its disk with blobs: some of them go first.
Task<void> Warehouse::probe_ledger() {
    auto& volume = *volumes_.front();
    if (ledger_->health().state() == DiskHealth::State::full) {
        auto own = file_system_of(directory_);
        for (auto& one : volumes_) {
            auto its = file_system_of(one->root());
            bool is_shared = own && its && own->id == its->id && one->health().takes_writes();
            if (is_shared) (void)co_await make_disk_room(*one, 0);
        }
    }
    std::vector<LedgerChange> changes;
    changes.push_back(PutVolume{VolumeRecord{volume.index(), volume.id(), volume.path(), true}});
    [[maybe_unused]] auto applied = co_await ledger_->apply(std::move(changes));
}

}  // namespace entrepot
