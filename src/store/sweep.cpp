// What lies on the volumes and nobody told the ledger: partial files of an earlier run, and blobs whose record is missing, because the last process died between a
// rename and its record, because the ledger was lost, or because somebody copied them there. Such blobs are adopted, not deleted: their names say what they are, and
// their digests are verified when they are first opened.

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"
#include "entrepot/io/directory.h"
#include "store/chunk_sums.h"
#include "store/warehouse.h"

#include <fcntl.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::string_view sums_suffix = ".sums";
constexpr std::size_t partials_a_round = 16384;         // names in memory at a time
constexpr std::size_t partial_walkers = 4;              // behind a start, beside clients
constexpr std::size_t quarantined_at_start_max = 4096;  // names, of which the next starts see the rest
constexpr std::size_t looks_a_turn = 256;               // names looked at before others may run
constexpr std::size_t adoptions_a_commit = 256;

struct FileState {
    std::uint64_t size = 0;
    std::int64_t changed = 0;  // wall seconds
    bool regular = false;
};

/// nullopt when there is no such file, or it cannot be opened.
Task<std::optional<FileState>> look(int directory, std::string name) {
    auto file = co_await open_file(directory, name.c_str(), O_RDONLY | O_NONBLOCK);  // a FIFO must not hold us
    if (file < 0) co_return std::nullopt;
    struct ::stat status {};
    int known = Loop::current().ring().status(file, status);
    Loop::current().ring().close(file);
    if (known < 0) co_return std::nullopt;
    FileState state;
    state.size = static_cast<std::uint64_t>(status.st_size);
    state.changed = status.st_mtim.tv_sec;
    state.regular = S_ISREG(status.st_mode);
    co_return state;
}

/// How much a side file of this size lets a resume use.
std::uint64_t resumable(std::uint64_t sums_file_bytes, std::uint64_t file_bytes) noexcept {
    if (sums_file_bytes < sizeof(SumsHeader)) return 0;
    auto chunks = std::min((sums_file_bytes - sizeof(SumsHeader)) / sizeof(std::uint64_t), file_bytes / chunk_bytes);
    return chunks > 1 ? (chunks - 1) * chunk_bytes : 0;
}

}  // namespace

/// A list of names that several tasks work off: one file costs a few round trips to the kernel's workers, which wait better together.
struct Warehouse::Walk {
    Volume& volume;
    const std::vector<std::string>& names;
    std::size_t next, end;
    DigestAlgorithm algorithm = DigestAlgorithm::sha256;
    std::vector<Stray> strays{};
    bool adopted = true;
    std::uint64_t removed = 0;
};

/// Looks at `names_max` files at the most. True when there are more, of which this look has made some come into sight.
Task<bool> Warehouse::scan_partials(Volume& volume, std::size_t names_max, std::size_t walkers_count) {
    int directory = volume.partials();
    auto list = [directory, names_max] { return list_some(directory, names_max); };
    auto names = co_await run_blocking(Lane::resolver, list);
    if (!names) co_return false;
    std::sort(names->begin(), names->end());
    Walk walk{volume, *names, 0, names->size()};
    TaskGroup walkers;
    for (std::size_t i = 0; i < walkers_count; ++i) walkers.start(scan_some_partials(walk));
    co_await walkers.close();
    bool more_to_do = names->size() == names_max && walk.removed > 0 && !stopping_;
    co_return more_to_do;
}

/// A million files of dead fills take as long as they take: nobody waits for it, and those who fetch one of them meanwhile resume it as they find it.
Task<void> Warehouse::scan_other_partials(Volume& volume) {
    for (;;) {
        bool more = co_await scan_partials(volume, partials_a_round, partial_walkers);
        if (!more) co_return;
    }
}

Task<void> Warehouse::scan_some_partials(Walk& walk) {
    while (walk.next < walk.end && !stopping_) {
        auto i = walk.next++;
        std::string_view name = walk.names[i];
        if (auto digest = parse_flat_name(name)) {
            bool removed = co_await scan_partial(walk.volume, *digest);
            walk.removed += removed;
            continue;
        }
        auto stem = name.ends_with(sums_suffix) ? name.substr(0, name.size() - sums_suffix.size()) : std::string_view();
        auto of = parse_flat_name(stem);
        if (of && (writing_.contains(*of) || busy_.contains(*of) || partials_.resumable_bytes(*of) > 0)) continue;
        if (of) {
            // A blob's partial file sorts right before its sums, and goes together with them; of this name it may also be one that comes in another round.
            auto file = co_await look(walk.volume.partials(), std::string(stem));
            if (file || writing_.contains(*of)) continue;
        }
        auto result = co_await unlink_file(walk.volume.partials(), walk.names[i].c_str());
        walk.removed += result >= 0;
    }
}

/// Keeps it or removes it; true when there is one less now.
Task<bool> Warehouse::scan_partial(Volume& volume, const Digest& digest_given) {
    auto digest = digest_given;
    if (writing_.contains(digest) || busy_.contains(digest) || partials_.resumable_bytes(digest) > 0) co_return false;
    busy_.insert(digest);
    auto kept = co_await look_at_partial(volume, digest);
    bool removed = kept.resumable_bytes == 0;
    if (removed) removed = co_await unlink_partial(volume, digest);
    busy_.erase(digest);
    changed_.notify_all();
    if (kept.resumable_bytes == 0) co_return removed;
    capacity_.take_regardless(kept.charged_bytes);
    co_return co_await keep_and_trim(kept);
}

/// As keep_partial, for who finds many: he removes himself what is too much, so that no more removals are under way than there are finders.
/// True when one went.
Task<bool> Warehouse::keep_and_trim(KeptPartial kept) {
    bool removed = false;
    partials_.put(kept);
    counters_.partial_bytes.fetch_add(kept.charged_bytes, std::memory_order_relaxed);
    while (partials_.count() > options_.partials_max) {
        auto oldest = partials_.take_oldest();
        co_await drop_partial(*oldest);
        removed = true;
    }
    co_return removed;
}

/// Most dead fills left no sums, which is soon known.
Task<KeptPartial> Warehouse::look_at_partial(Volume& volume, const Digest& digest) {
    auto name = flat_name(digest);
    auto sums_name = name + std::string(sums_suffix);
    KeptPartial kept{digest, &volume, 0, 0, 0};
    auto sums = co_await look(volume.partials(), sums_name);
    if (!sums) co_return kept;
    auto file = co_await look(volume.partials(), name);
    auto oldest_allowed = wall_seconds() - std::chrono::duration_cast<seconds>(options_.partial_age_max).count();
    if (file && file->regular && file->changed >= oldest_allowed) {
        kept.charged_bytes = disk_bytes(file->size);
        kept.resumable_bytes = resumable(sums->size, file->size);
        kept.kept_at = file->changed;
    }
    co_return kept;
}

Task<void> Warehouse::scan_quarantine(Volume& volume) {
    int directory = volume.quarantine();
    auto list = [directory] { return list_some(directory, quarantined_at_start_max); };
    auto names = co_await run_blocking(Lane::resolver, list);
    if (!names) co_return;
    std::sort(names->begin(), names->end());
    for (auto& name : *names) {
        auto file = co_await look(directory, name);
        auto charged = disk_bytes(file ? file->size : 0);
        capacity_.take_regardless(charged);
        quarantined_.push_back({name, &volume, charged});
        while (quarantined_.size() > quarantined_max) co_await drop_oldest_quarantined(nullptr);
    }
}

Task<void> Warehouse::sweep() {
    auto before = counters_.blobs.load(std::memory_order_relaxed);
    bool complete = true;
    for (auto& volume : volumes_) {
        for (auto algorithm : {DigestAlgorithm::sha256, DigestAlgorithm::sha512}) {
            bool swept = co_await sweep_directory(*volume, algorithm);
            complete &= swept;
        }
    }
    if (!complete) co_return;
    if (ledger_->wants_rebuild()) {
        std::vector<LedgerChange> changes;
        changes.push_back(EndRebuild{});
        auto ended = co_await ledger_->apply(std::move(changes));
        if (!ended) co_return;
        auto found = counters_.blobs.load(std::memory_order_relaxed);
        if (found > before) log_info("the ledger was rebuilt from the volumes: about {} blobs", found - before);
    }
    swept_ = true;
    index_pending_ = true;
}

Task<bool> Warehouse::sweep_directory(Volume& volume, DigestAlgorithm algorithm) {
    int directory = volume.blobs(algorithm);
    auto list = [directory] { return list_directory(directory); };
    auto names = co_await run_blocking(Lane::resolver, list);
    if (!names) {
        note_write_error(volume, "listing blobs", names.error().detail);
        co_return false;
    }
    Walk walk{volume, *names, 0, names->size()};
    walk.algorithm = algorithm;
    TaskGroup walkers;
    for (std::size_t i = 0; i < walkers_max; ++i) walkers.start(sweep_some(walk));
    co_await walkers.close();
    co_await adopt(walk);
    co_return walk.adopted && !stopping_;
}

Task<void> Warehouse::sweep_some(Walk& walk) {
    std::string prefix = walk.algorithm == DigestAlgorithm::sha256 ? "sha256:" : "sha512:";
    while (walk.next < walk.end && !stopping_ && walk.adopted) {
        auto i = walk.next++;
        // Other names are somebody else's, perhaps a copy in progress: left alone.
        auto digest = Digest::parse(prefix + walk.names[i]);
        if (digest) co_await look_at(walk, *digest);
        if (walk.strays.size() >= adoptions_a_commit) co_await adopt(walk);
        if (i % looks_a_turn == looks_a_turn - 1) co_await Breathe();
    }
}

/// A stray joins the walk's, busy and with its space taken; when there is no space for it, it goes.
Task<void> Warehouse::look_at(Walk& walk, const Digest& digest_given) {
    auto digest = digest_given;
    auto& volume = walk.volume;
    if (writing_.contains(digest) || busy_.contains(digest)) co_return;
    if (table_.find(digest)) {
        auto record = ledger_->find_blob_head(digest);
        bool is_copy = record && record->volume != volume.index();
        if (!is_copy) co_return;
        busy_.insert(digest);
        (void)co_await remove_file(volume, digest);
        busy_.erase(digest);
        changed_.notify_all();
        co_return;
    }
    busy_.insert(digest);
    auto name = digest.hex();
    auto file = co_await look(volume.blobs(digest.algorithm()), name);
    bool ours = file && file->regular;
    bool hollow = ours && file->size == 0 && !(Digest::of({}, digest.algorithm()) == digest);
    if (ours && !hollow && capacity_.try_take(disk_bytes(file->size))) {
        Stray stray;
        stray.digest = digest;
        stray.record.size = file->size;
        stray.record.volume = volume.index();
        stray.record.created = file->changed;
        walk.strays.push_back(std::move(stray));
        co_return;
    }
    if (ours) (void)co_await remove_file(volume, digest);
    busy_.erase(digest);
    changed_.notify_all();
}

Task<void> Warehouse::adopt(Walk& walk) {
    auto strays = std::exchange(walk.strays, {});
    std::vector<LedgerChange> changes;
    for (auto& stray : strays) changes.push_back(PutBlob{stray.digest, stray.record});
    auto applied = co_await ledger_->apply(std::move(changes));
    for (auto& stray : strays) {
        auto bytes = disk_bytes(stray.record.size);
        auto* entry = applied ? eviction_->insert(stray.digest, bytes) : nullptr;
        if (entry) {
            table_.insert(*entry);
            counters_.blobs.fetch_add(1, std::memory_order_relaxed);
            counters_.bytes.fetch_add(bytes, std::memory_order_relaxed);
        } else {
            capacity_.give_back(bytes);
        }
        busy_.erase(stray.digest);
    }
    walk.adopted &= applied.has_value();
    changed_.notify_all();
}

}  // namespace entrepot
