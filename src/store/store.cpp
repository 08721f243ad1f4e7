#include "entrepot/store/store.h"

#include "entrepot/base/log.h"
#include "entrepot/base/random.h"
#include "entrepot/io/blocking.h"
#include "store/warehouse.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

namespace entrepot {
namespace {

constexpr auto maintenance_interval = seconds(30);
constexpr std::size_t partials_at_start_max = 1024;  // looked at before the store is ready; the rest in the background
constexpr std::size_t marks_a_commit = 4096;

std::string explain(const std::string& path, const Error& error) {
    switch (error.detail) {
        case ELOOP:
        case ENOTDIR: return fmt::format("{} is a symbolic link or no directory; name the directory itself", path);
        case EPERM:
            return fmt::format("{} belongs to another user or is writable by everybody: give it to the server's user, mode 0700",
                               path);
        default: return fmt::format("cannot open {}: {}", path, std::strerror(error.detail));
    }
}

std::string explain_lock(const std::string& path, const Error& error) {
    if (error.code == Code::busy) return fmt::format("another entrepot is using {}: two servers cannot share a store", path);
    return fmt::format("cannot lock {}: {}", path, std::strerror(error.detail));
}

/// Why a volume is not used, and what makes it one again.
void close_for(DiskHealth& health, const Error& error) {
    switch (error.code) {
        case Code::not_found:
            return health.close("it was a volume and is empty now",
                                "mount its disk, or make an empty directory .entrepot in it to begin anew, and restart entrepot");
        case Code::unsupported: return health.close("a newer entrepot wrote it", "start that version");
        case Code::corrupt:
            return health.close(".entrepot/volume is damaged",
                                "remove that file to give the volume a new name, and restart entrepot");
        case Code::busy:
            return health.close("it is a copy of another volume, or the ledger has no number left for it",
                                "leave one of the two out of store.volumes");
        default: return health.close(std::strerror(error.detail), "look at the disk, and restart entrepot");
    }
}

/// What an open says when the file itself is not (or no longer) ours to read.
bool is_lost(int error) noexcept {
    return error == ENOENT || error == ELOOP || error == ENOTDIR || error == EACCES || error == EISDIR;
}

}  // namespace

Result<std::unique_ptr<Store>, std::string> Store::open(const Options& options) {
    auto store = std::make_unique<Warehouse>(options);
    auto opened = store->open_roots();
    if (!opened) return opened.error();
    return std::unique_ptr<Store>(std::move(store));
}

Warehouse::Warehouse(const Options& options) : options_(options), opened_(opened_names_max, options.memory_bytes) {}

Warehouse::~Warehouse() {
    ASSERT(!started_);
    volumes_.clear();
    if (directory_ >= 0) close_directory(directory_);
}

Result<void, std::string> Warehouse::open_roots() {
    auto own = open_directory(options_.directory, true);
    if (!own) return explain(options_.directory, own.error());
    directory_ = *own;
    if (auto locked = lock_directory(directory_); !locked) return explain_lock(options_.directory, locked.error());
    Ledger::Options ledger_options;
    ledger_options.directory = options_.directory + "/ledger";
    ledger_options.map_bytes = options_.ledger_map_bytes;
    auto ledger = Ledger::open(ledger_options);
    if (!ledger) return ledger.error();
    ledger_ = std::move(*ledger);
    known_volumes_ = ledger_->volumes();

    auto paths = options_.volumes.empty() ? std::vector{options_.directory} : options_.volumes;
    if (paths.size() > volumes_max)
        return fmt::format("{} volumes are configured, at most {} are possible", paths.size(), volumes_max);
    for (auto& path : paths) health_.push_back(std::make_unique<DiskHealth>("volume", path));
    for (auto& health : health_) {
        auto& path = health->path();
        bool known =
            std::any_of(known_volumes_.begin(), known_volumes_.end(), [&path](auto& volume) { return volume.path == path; });
        auto root = open_directory(path, !known);
        if (!root && known) {
            health->close(explain(path, root.error()), "its share of the blobs is gone until it is back and entrepot restarted");
            continue;
        }
        if (!root) return explain(path, root.error());
        auto file_system = file_system_of(*root);
        volumes_.push_back(std::make_unique<Volume>(*health, *root, file_system ? file_system->bytes : 1));
        if (path == options_.directory) continue;  // locked above
        if (auto locked = lock_directory(*root); !locked) return explain_lock(path, locked.error());
    }
    return {};
}

Task<Result<void>> Warehouse::start() {
    owner_ = &Loop::current();
    auto prepared = co_await prepare_volumes();
    if (!prepared) co_return prepared;
    set_capacity_limit();
    load_entries();
    if (ledger_->wants_rebuild()) co_await read_tags();
    started_ = true;
    swept_ = swept_ && ledger_->ended_in_order() && !ledger_->wants_rebuild();
    for (auto& volume : volumes_) {
        bool more = co_await scan_partials(*volume, partials_at_start_max, walkers_max);
        if (more) background_.start(scan_other_partials(*volume));
        co_await scan_quarantine(*volume);
    }
    if (!swept_) background_.start(sweep());
    background_.start(trim());
    background_.start(warm_ledger());
    background_.start(maintain());
    background_.start(watch_disks());
    background_.start(scrub());
    co_return Result<void>();
}

Task<Result<void>> Warehouse::prepare_volumes() {
    for (auto& volume : volumes_) {
        auto fresh_id = random_bits() | 1;
        bool may_be_lost =
            !options_.volumes.empty() && std::any_of(known_volumes_.begin(), known_volumes_.end(),
                                                     [&volume](auto& known) { return known.path == volume->path(); });
        auto prepared = co_await volume->prepare(fresh_id, may_be_lost);
        if (prepared) prepared = co_await assign_index(*volume);
        if (prepared) continue;
        close_for(volume->health(), prepared.error());
        volume.reset();
    }
    std::erase(volumes_, nullptr);
    std::vector<LedgerChange> changes;
    for (auto& known : known_volumes_) {
        if (by_index_[known.index] || !known.present) continue;
        auto absent = known;
        absent.present = false;
        changes.push_back(PutVolume{absent});
    }
    auto noted = co_await ledger_->apply(std::move(changes));
    if (!noted) co_return noted;
    if (volumes_.empty()) co_return Error{Fault::storage, Code::not_found};
    co_return Result<void>();
}

/// Finds the number under which the ledger's records mean this volume, or gives it one.
Task<Result<void>> Warehouse::assign_index(Volume& volume) {
    VolumeRecord record{0, volume.id(), volume.path(), true};
    auto known =
        std::find_if(known_volumes_.begin(), known_volumes_.end(), [&volume](auto& other) { return other.id == volume.id(); });
    if (known != known_volumes_.end()) {
        if (by_index_[known->index]) co_return Error{Fault::storage, Code::busy};
        record.index = known->index;
        volume.set_index(record.index);
        by_index_[record.index] = &volume;
        if (known->present && known->path == record.path) co_return Result<void>();
        swept_ &= known->present;  // it was away: what it holds may have come back elsewhere
        *known = record;
    } else {
        std::size_t index = 0;
        auto taken = [this](std::size_t number) {
            return std::any_of(known_volumes_.begin(), known_volumes_.end(), [number](auto& v) { return v.index == number; });
        };
        while (index < by_index_.size() && taken(index)) ++index;
        if (index == by_index_.size()) co_return Error{Fault::storage, Code::busy};
        record.index = static_cast<std::uint8_t>(index);
        volume.set_index(record.index);
        by_index_[index] = &volume;
        known_volumes_.push_back(record);
        swept_ = false;
    }
    std::vector<LedgerChange> changes;
    changes.push_back(PutVolume{record});
    auto noted = co_await ledger_->apply(std::move(changes));
    co_return noted;
}

void Warehouse::set_capacity_limit() {
    auto limit = options_.capacity_bytes;
    std::vector<std::uint64_t> counted;
    for (auto& volume : volumes_) {
        auto file_system = file_system_of(volume->root());
        if (options_.capacity_bytes > 0 || !file_system) continue;
        if (std::find(counted.begin(), counted.end(), file_system->id) != counted.end()) continue;
        counted.push_back(file_system->id);
        limit += file_system->bytes / 100 * options_.capacity_percent;
    }
    capacity_.set_limit(limit);
    counters_.capacity_bytes = limit;
}

void Warehouse::load_entries() {
    Eviction::Options eviction_options;
    eviction_options.capacity_bytes = capacity_.limit();
    eviction_ = std::make_unique<Eviction>(eviction_options);
    table_ = BlobTable(ledger_->blob_count());
    std::uint64_t bytes = 0, beyond = 0;
    auto load = [&](const Digest& digest, std::uint64_t size, std::uint8_t volume, std::uint8_t flags) {
        if (!by_index_[volume]) return;  // lost with its volume
        auto* entry = eviction_->insert(digest, disk_bytes(size), flags & 1);
        if (!entry) {
            ++beyond;
            return;
        }
        table_.insert(*entry);
        bytes += entry->bytes;
    };
    ledger_->each_blob(load);
    capacity_.take_regardless(bytes);
    counters_.bytes = bytes;
    counters_.blobs = table_.size();
    if (beyond > 0) log_warning("{} blobs are more than the eviction can hold and are not used", beyond);
}

Task<void> Warehouse::warm_ledger() {
    auto warm = [this] {
        ledger_->warm();
        return true;
    };
    co_await run_blocking(Lane::resolver, warm);
}

Task<void> Warehouse::maintain() {
    while (!stopping_) {
        auto next = Loop::current().time() + maintenance_interval;
        co_await woken_.wait(next);
        if (stopping_) break;
        auto oldest_allowed = wall_seconds() - std::chrono::duration_cast<seconds>(options_.partial_age_max).count();
        while (auto partial = partials_.take_oldest(nullptr, oldest_allowed)) co_await drop_partial(*partial);
        if (swept_) co_await write_index();
    }
}

Task<void> Warehouse::stop() {
    if (!started_) co_return;
    ASSERT(&Loop::current() == owner_ && writing_.empty());
    stopping_ = true;
    woken_.notify_all();
    co_await background_.close();
    while (touches_in_flight_.load() > 0) co_await Breathe();
    if (swept_) co_await write_index();
    ASSERT(capacity_.used() == bytes_accounted());
    co_await make_removals_durable();
    auto saved = co_await save_trials();
    if (saved && swept_ && !leaves_strays_) {
        auto mark = [this] {
            ledger_->mark_end_in_order();
            return true;
        };
        co_await run_blocking(Lane::ledger, mark);
    }
    started_ = false;
}

/// What the account should have taken while nobody writes.
std::uint64_t Warehouse::bytes_accounted() const noexcept {
    auto bytes = counters_.bytes.load() + counters_.partial_bytes.load() + unremoved_bytes_;
    for (auto& one : quarantined_) bytes += one.charged_bytes;
    return bytes;
}

/// A name whose removal a power cut takes back would be a stray that the next start, told of an orderly end, does not look for.
Task<void> Warehouse::make_removals_durable() {
    for (auto& volume : volumes_) {
        for (int directory : {volume->blobs(DigestAlgorithm::sha256), volume->blobs(DigestAlgorithm::sha512)}) {
            auto synced = co_await sync_file(directory);
            if (synced >= 0) continue;
            note_write_error(*volume, "syncing a directory", -synced);
            leaves_strays_ = true;
        }
    }
}

/// Which blobs proved themselves goes into the ledger, so that a restart does not put them on trial again.
Task<Result<void>> Warehouse::save_trials() {
    std::vector<LedgerChange> all;
    auto compare = [&](const Digest& digest, std::uint64_t, std::uint8_t, std::uint8_t flags) {
        auto* entry = table_.find(digest);
        if (!entry || entry->survived_trial() == ((flags & 1) != 0)) return;
        all.push_back(MarkBlob{digest, static_cast<std::uint8_t>((flags & ~1u) | (entry->survived_trial() ? 1u : 0u))});
    };
    ledger_->each_blob(compare);
    for (std::size_t first = 0; first < all.size(); first += marks_a_commit) {
        auto end = std::min(all.size(), first + marks_a_commit);
        std::vector<LedgerChange> some(std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(first)),
                                       std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(end)));
        auto saved = co_await ledger_->apply(std::move(some));
        if (!saved) co_return saved;
    }
    co_return Result<void>();
}

Task<Result<BlobRef>> Warehouse::open(const Digest& digest_given) {
    auto digest = digest_given;
    auto find = [this, &digest] { return find_and_pin(digest); };
    auto found = co_await call_owner(find);
    auto* entry = found.entry;
    if (!entry) co_return Error{Fault::storage, Code::not_found};
    auto blob = co_await open_pinned(digest, found);
    if (blob) co_return blob;
    // The file is not what the ledger says: out of sight with both, upstream has it again. Unless it was discarded and perhaps stored anew while we looked: our pin keeps
    // the entry from becoming another blob's, so that only the one we opened goes.
    bool is_lost_blob = blob.error().code == Code::corrupt;
    auto take = [this, &digest, entry] { return take_out(digest, true, entry); };
    if (is_lost_blob) co_await run_at_owner(take);
    entry->unpin();
    if (!is_lost_blob) co_return blob;
    co_return Error{Fault::storage, Code::not_found};
}

Warehouse::Found Warehouse::find_and_pin(const Digest& digest) noexcept {
    auto* entry = table_.find(digest);
    if (!entry || !entry->pin()) return {};
    bool opened_lately = opened_.take(digest);
    opened_.remember(digest, entry->bytes);
    return {entry, opened_lately};
}

Task<Result<BlobRef>> Warehouse::open_pinned(const Digest& digest, Found found) {
    auto record = ledger_->find_blob(digest);
    if (!record) co_return Error{Fault::storage, Code::corrupt};
    if (!record->verified()) {
        auto verify = [this, &digest] { return verify_stored(digest); };
        auto verified = co_await run_at_owner(verify);
        if (!verified) co_return verified.error();
        record = std::move(*verified);
    }
    auto file = co_await open_stored(digest, *record);
    if (!file) co_return file.error();
    auto direct = co_await open_directly(digest, *record, *file, found.opened_lately);
    co_return std::make_shared<BlobFile>(digest, *file, record->size, std::move(record->sums), found.entry, false,
                                         std::move(direct));
}

/// Nothing where it would not pay: for what is wanted again and shall stay in memory, for what fits into one chunk, and for what begins in memory and so is probably there
/// as a whole.
Task<DirectFile> Warehouse::open_directly(const Digest& digest, const BlobRecord& record, int file, bool opened_lately) {
    if (options_.memory_bytes == 0 || opened_lately || record.size <= chunk_bytes) co_return DirectFile();
    if (Loop::current().ring().resident(file, 0, chunk_bytes, false)) co_return DirectFile();
    auto name = digest.hex();
    co_return co_await open_past_memory(volume_of(record.volume)->blobs(digest.algorithm()), name, O_RDONLY);
}

Task<DirectFile> Warehouse::open_past_memory(int directory, const std::string& name, std::uint32_t flags) {
    auto open = direct_files_.fetch_add(1, std::memory_order_relaxed);
    int direct = -EMFILE;
    if (open < direct_files_max) direct = co_await open_file(directory, name.c_str(), flags | O_DIRECT);
    if (direct >= 0) co_return DirectFile(direct, direct_files_);
    direct_files_.fetch_sub(1, std::memory_order_relaxed);
    co_return DirectFile();
}

/// Code::corrupt when the file is gone or has another size than its record says.
Task<Result<int>> Warehouse::open_stored(const Digest& digest, const BlobRecord& record, std::uint32_t flags) {
    auto* volume = volume_of(record.volume);
    if (!volume) co_return Error{Fault::storage, Code::corrupt};
    auto name = digest.hex();
    auto file = co_await open_file(volume->blobs(digest.algorithm()), name.c_str(), O_RDONLY | flags);
    if (is_lost(-file)) co_return Error{Fault::storage, Code::corrupt, -file};
    if (file < 0) co_return disk_error(-file);
    struct ::stat status {};
    int known = Loop::current().ring().status(file, status);
    if (known >= 0 && static_cast<std::uint64_t>(status.st_size) == record.size && S_ISREG(status.st_mode)) co_return file;
    Loop::current().ring().close(file);
    if (known < 0) co_return disk_error(-known);
    co_return Error{Fault::storage, Code::corrupt};
}

struct Warehouse::TouchHint : Message {
    Warehouse* store = nullptr;
    std::vector<Digest> digests;
};

/// A hint and no promise: when many are on their way already, this one is dropped.
void Warehouse::touch(const std::vector<Digest>& digests) noexcept {
    if (digests.empty()) return;
    if (touches_in_flight_.fetch_add(1) >= touches_in_flight_max) {
        touches_in_flight_.fetch_sub(1);
        return;
    }
    auto* hint = new TouchHint;
    hint->store = this;
    hint->digests.assign(digests.begin(),
                         digests.begin() + static_cast<std::ptrdiff_t>(std::min(digests.size(), touched_digests_max)));
    hint->run = [](Message& message) {
        auto& arrived = static_cast<TouchHint&>(message);
        arrived.store->run_touch(arrived);
    };
    owner_->post(*hint);
}

void Warehouse::run_touch(TouchHint& hint) noexcept {
    for (auto& digest : hint.digests) {
        if (auto* entry = table_.find(digest)) entry->touch();
    }
    delete &hint;
    touches_in_flight_.fetch_sub(1);
}

void Warehouse::note_write_error(Volume& volume, const char* what, int error) noexcept {
    counters_.write_errors.fetch_add(1, std::memory_order_relaxed);
    volume.health().note_failure(what, error);
}

bool Warehouse::takes_blobs() const noexcept {
    return ledger_->health().healthy() &&
           std::any_of(volumes_.begin(), volumes_.end(), [](auto& volume) { return volume->health().takes_writes(); });
}

bool Warehouse::all_take_writes() const noexcept {
    return std::all_of(volumes_.begin(), volumes_.end(), [](auto& volume) { return volume->health().takes_writes(); });
}

std::vector<const DiskHealth*> Warehouse::disks() const {
    std::vector<const DiskHealth*> all;
    for (auto& health : health_) all.push_back(health.get());
    all.push_back(&ledger_->health());
    return all;
}

}  // namespace entrepot
