#include "entrepot/store/ledger.h"

#include "entrepot/base/log.h"
#include "entrepot/io/blocking.h"
#include "store/ledger_records.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>

namespace entrepot {
namespace {

constexpr unsigned readers_max = 512;  // LMDB's table of concurrent readers; one slot a thread is used
constexpr std::size_t idle_readers_max = 64;
constexpr unsigned tables_max = 16;
constexpr std::size_t lists_a_commit_max = 1024;  // keeps a transaction far below LMDB's 131,072 dirty pages
constexpr std::size_t key_bytes_max = 511;

constexpr std::string_view key_format = "format";
constexpr std::string_view key_ended = "ended";
constexpr std::string_view key_rebuild = "rebuild";
constexpr std::string_view key_scrub = "scrub";
constexpr std::string_view key_volume = "volume";  // and one byte, the index

MDB_val value_of(std::string_view bytes) noexcept { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view view_of(const MDB_val& value) noexcept { return {static_cast<const char*>(value.mv_data), value.mv_size}; }
std::string_view view_of_meta(const MetaValue& value) noexcept { return {reinterpret_cast<const char*>(&value), sizeof value}; }

std::string volume_key(std::uint8_t index) { return std::string(key_volume) + static_cast<char>(index); }

/// LMDB's own consistency checks failed: the file is damaged beyond what open() can see. Going on could serve wrong records.
void on_lmdb_assert(MDB_env*, const char* message) {
    log_error("the ledger is damaged ({}): stop, remove the ledger directory and start again; the volumes rebuild it", message);
    assert_failed("the ledger's pages are consistent", __FILE__, __LINE__);
}

Error error_of(int lmdb_error) noexcept {
    bool full = lmdb_error == MDB_MAP_FULL || lmdb_error == MDB_TXN_FULL || is_full(lmdb_error);
    return {Fault::storage, full ? Code::no_space : Code::io_failed, lmdb_error > 0 ? lmdb_error : 0};
}

/// One task that waits for its list to be committed.
struct Waiter : Message {
    const std::vector<LedgerChange>* changes = nullptr;
    Loop* origin = nullptr;
    std::coroutine_handle<> task;
    Waiter* later = nullptr;
    Result<void> result;
    bool leads = false;

    static void on_origin(Message& message) noexcept {
        auto& self = static_cast<Waiter&>(message);
        self.origin->resume_later(self.task);
    }
};

/// Suspends until the waiter's message arrives. It runs on this thread, so it cannot come before we are suspended.
struct Parked {
    Waiter& waiter;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> task) noexcept { waiter.task = task; }
    void await_resume() const noexcept {}
};

/// The thread's usual place among the idle readers: no two threads of a small server share one.
std::size_t reader_place() noexcept {
    static std::atomic<std::size_t> threads{0};
    thread_local std::size_t place = threads.fetch_add(1, std::memory_order_relaxed);
    return place % idle_readers_max;
}

/// Handles of the tables: the same in every environment that opens them in this order.
struct Tables {
    MDB_dbi meta = 0, blobs = 0, sums = 0, manifests = 0, tags = 0, grants = 0, settings = 0, holders = 0;

    friend bool operator==(const Tables&, const Tables&) = default;
};

int open_tables(MDB_txn* txn, Tables& into, unsigned flags) {
    struct Table {
        const char* name;
        MDB_dbi& handle;
    };
    const Table wanted[] = {{"meta", into.meta},           {"blobs", into.blobs},    {"sums", into.sums},
                            {"manifests", into.manifests}, {"tags", into.tags},      {"grants", into.grants},
                            {"settings", into.settings},   {"holders", into.holders}};
    for (auto& table : wanted) {
        if (int error = mdb_dbi_open(txn, table.name, flags, &table.handle); error != 0) return error;
    }
    return 0;
}

/// What readers work with: idle read transactions, which cost no lock and no system call to renew, and the environment to begin others in. That is the one that is written
/// to, or after its end another one over the same file: LMDB ends an environment, for readers too, when it could not write the page that makes a commit true. The file
/// then holds what was true before.
struct Readers {
    std::string directory;
    std::uint64_t map_bytes = 0;
    MDB_env* written = nullptr;
    Tables tables;
    std::atomic<MDB_env*> env{nullptr};
    std::mutex lock;
    std::array<std::atomic<MDB_txn*>, idle_readers_max> idle{};

    ~Readers() { ASSERT(!env.load()); }
    void close();
    bool has_ended() const;
    MDB_env* env_after_the_end();
    MDB_env* open_another() const;
};

void Readers::close() {
    for (auto& one : idle) {
        if (auto* txn = one.exchange(nullptr)) mdb_txn_abort(txn);
    }
    auto* last = env.exchange(nullptr);
    if (last && last != written) mdb_env_close(last);
}

bool Readers::has_ended() const {
    MDB_txn* txn = nullptr;
    int error = mdb_txn_begin(written, nullptr, MDB_RDONLY, &txn);
    if (error == 0) mdb_txn_abort(txn);
    return error == MDB_PANIC;
}

/// Whoever meets the end first opens another one; that costs a map of the file, once. The ended one when that fails: the ledger then knows nothing.
MDB_env* Readers::env_after_the_end() {
    std::lock_guard guard(lock);
    auto* current = env.load();
    auto* other = current == written ? open_another() : nullptr;
    if (other) env.store(current = other, std::memory_order_release);
    return current;
}

/// Without locks, as nobody writes to this file any more: no other process has the store, and this one's environment has ended.
MDB_env* Readers::open_another() const {
    MDB_env* other = nullptr;
    MDB_txn* txn = nullptr;
    if (mdb_env_create(&other) != 0) return nullptr;
    mdb_env_set_maxdbs(other, tables_max);
    mdb_env_set_mapsize(other, map_bytes);
    int error = mdb_env_open(other, directory.c_str(), MDB_NOTLS | MDB_RDONLY | MDB_NOLOCK, 0600);
    if (error == 0) error = mdb_txn_begin(other, nullptr, MDB_RDONLY, &txn);
    Tables same;
    if (error == 0) error = open_tables(txn, same, 0);
    if (error == 0) error = mdb_txn_commit(txn);
    else if (txn) mdb_txn_abort(txn);
    if (error == 0 && same == tables) return other;
    mdb_env_close(other);
    return nullptr;
}

}  // namespace

struct Ledger::Impl : Tables {
    std::string directory;
    MDB_env* env = nullptr;
    bool ended_in_order = false;
    bool session_is_marked = false;  // the file knows that it is in use; on the ledger lane after open()
    std::atomic<bool> wants_rebuild{false};
    std::atomic<std::uint64_t> tags_version{0}, lists_committed{0}, transactions{0};
    DiskHealth health;
    Readers readers;

    std::mutex lock;
    Waiter* first_waiting = nullptr;  // under lock, as are the next two
    Waiter* last_waiting = nullptr;
    bool has_leader = false;

    explicit Impl(const Options& wanted) : directory(wanted.directory), health("ledger", wanted.directory) {
        readers.directory = wanted.directory;
        readers.map_bytes = wanted.map_bytes;
    }
    ~Impl();
    Result<void, std::string> open();
    Result<void, std::string> open_session();
    int cause_of(int error) const;
    Result<void, std::string> check_file() const;
    Result<void, std::string> begin_session(MDB_txn* txn);
    std::string explain(int error) const;

    bool enlist(Waiter& waiter);
    Waiter* take_batch();
    void hand_over_lead();
    Result<void> commit_waiting(Waiter& leader);
    Result<void> commit(const Waiter* batch);
    void note_refused(int error);
    int apply_one(MDB_txn* txn, const LedgerChange& change, std::uint64_t& tags_changed);
    template <typename Visit>
    void walk_tags(const std::string& repository, const std::string& last, std::size_t count_max, Visit visit);
    int put(MDB_txn* txn, MDB_dbi table, std::string_view key, std::string_view value);
    int remove(MDB_txn* txn, MDB_dbi table, std::string_view key);
    int put_blob(MDB_txn* txn, const PutBlob& change);
    int remove_blob(MDB_txn* txn, const Digest& digest, std::uint64_t& tags_changed);
    int mark_blob(MDB_txn* txn, const MarkBlob& change);
    int put_sums(MDB_txn* txn, const PutSums& change);
    int remove_grants(MDB_txn* txn, const std::string& digest, std::vector<std::string>& sources);
    int remove_grants_of_absent(MDB_txn* txn, const ManifestRecord& manifest, const std::vector<std::string>& sources);
    int put_tag(MDB_txn* txn, const PutTag& change, std::uint64_t& tags_changed);
    int put_grant(MDB_txn* txn, const PutGrant& change);
};

namespace {

/// A snapshot for reading, on loan from the idle ones. Values that it yields live as long as it does.
class Reading {
  public:
    explicit Reading(Readers& readers) noexcept : idle_(readers.idle) {
        txn_ = idle_[reader_place()].exchange(nullptr, std::memory_order_acquire);
        if (txn_ && mdb_txn_renew(txn_) == 0) return;
        drop();
        int error = mdb_txn_begin(readers.env.load(std::memory_order_acquire), nullptr, MDB_RDONLY, &txn_);
        if (error == MDB_PANIC) error = mdb_txn_begin(readers.env_after_the_end(), nullptr, MDB_RDONLY, &txn_);
        // Too many readers: the ledger then knows nothing, which callers survive.
        if (error != 0) txn_ = nullptr;
    }
    ~Reading() {
        if (!txn_) return;
        mdb_txn_reset(txn_);
        if (auto* other = idle_[reader_place()].exchange(txn_, std::memory_order_acq_rel)) mdb_txn_abort(other);
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    MDB_txn* txn() const noexcept { return txn_; }
    std::optional<std::string_view> find(MDB_dbi table, std::string_view key) const noexcept {
        if (!txn_ || key.size() > key_bytes_max) return std::nullopt;
        auto wanted = value_of(key);
        MDB_val found;
        if (mdb_get(txn_, table, &wanted, &found) != 0) return std::nullopt;
        return view_of(found);
    }

  private:
    void drop() noexcept {
        if (txn_) mdb_txn_abort(txn_);
        txn_ = nullptr;
    }
    std::array<std::atomic<MDB_txn*>, idle_readers_max>& idle_;
    MDB_txn* txn_ = nullptr;
};

/// Walks a table in the order of its keys.
class Cursor {
  public:
    Cursor(MDB_txn* txn, MDB_dbi table) noexcept {
        if (txn && mdb_cursor_open(txn, table, &cursor_) != 0) cursor_ = nullptr;
    }
    ~Cursor() {
        if (cursor_) mdb_cursor_close(cursor_);
    }
    Cursor(const Cursor&) = delete;
    Cursor& operator=(const Cursor&) = delete;

    bool first() noexcept { return move(MDB_FIRST); }
    bool next() noexcept { return move(MDB_NEXT); }
    /// The first key that is not below `key`.
    bool seek(std::string_view key) noexcept {
        if (key.empty()) return first();
        key_ = value_of(key.substr(0, key_bytes_max));
        return move(MDB_SET_RANGE);
    }
    std::string_view key() const noexcept { return view_of(key_); }
    std::string_view value() const noexcept { return view_of(value_); }
    int remove() noexcept { return mdb_cursor_del(cursor_, 0); }

  private:
    bool move(MDB_cursor_op operation) noexcept { return cursor_ && mdb_cursor_get(cursor_, &key_, &value_, operation) == 0; }
    MDB_cursor* cursor_ = nullptr;
    MDB_val key_{}, value_{};
};

/// Keys and values stay where they are in the map while the snapshot lives, so only pointers are sorted.
struct FoundBlob {
    std::int64_t created;
    const char* key;
    const char* value;
};

/// The oldest first, to one part in 4 million of the whole span: eviction needs no more, and two counting passes over 10^6 records take a third of the time that
/// comparing them does. Blobs of one age stay in the order of their keys.
void sort_by_age(std::vector<FoundBlob>& blobs) {
    constexpr int bits = 11;
    constexpr std::size_t buckets = 1 << bits;
    if (blobs.empty()) return;
    auto by_created = [](const FoundBlob& a, const FoundBlob& b) { return a.created < b.created; };
    auto [first, last] = std::minmax_element(blobs.begin(), blobs.end(), by_created);
    auto base = static_cast<std::uint64_t>(first->created);
    auto span = static_cast<std::uint64_t>(last->created) - base;
    int shift = std::max(0, static_cast<int>(std::bit_width(span)) - 2 * bits);
    std::vector<FoundBlob> sorted(blobs.size());
    for (int pass = 0; pass < 2; ++pass) {
        auto bucket_of = [&](const FoundBlob& blob) {
            return (static_cast<std::uint64_t>(blob.created) - base) >> (shift + pass * bits) & (buckets - 1);
        };
        std::array<std::size_t, buckets + 1> ends{};
        for (auto& blob : blobs) ++ends[bucket_of(blob) + 1];
        for (std::size_t i = 1; i <= buckets; ++i) ends[i] += ends[i - 1];
        for (auto& blob : blobs) sorted[ends[bucket_of(blob)]++] = blob;
        blobs.swap(sorted);
    }
}

std::optional<std::uint32_t> find_number(MDB_txn* txn, MDB_dbi meta, std::string_view key) noexcept {
    auto wanted = value_of(key);
    MDB_val found;
    MetaValue value{};
    if (mdb_get(txn, meta, &wanted, &found) != 0 || found.mv_size != sizeof value) return std::nullopt;
    std::memcpy(&value, found.mv_data, sizeof value);
    return value.number;
}

}  // namespace

Ledger::Impl::~Impl() {
    ASSERT(!first_waiting && !has_leader);
    readers.close();
    if (env) mdb_env_close(env);
}

std::string Ledger::Impl::explain(int error) const {
    switch (error) {
        case MDB_INVALID:
        case MDB_CORRUPTED:
        case MDB_PAGE_NOTFOUND:
        case MDB_VERSION_MISMATCH:
        case MDB_BAD_TXN:  // what a transaction says when a page that it needs was damaged
            return fmt::format("the ledger in {} is damaged ({}): remove this directory and start again, the volumes rebuild it",
                               directory, mdb_strerror(error));
        case ENOMEM:
            return fmt::format(
                "cannot map the ledger in {}: there is no address space for it; lift the limit on it (ulimit -v, LimitAS=)",
                directory);
        default: return fmt::format("cannot open the ledger in {}: {}", directory, mdb_strerror(error));
    }
}

Result<void, std::string> Ledger::Impl::open() {
    if (::mkdir(directory.c_str(), 0700) < 0 && errno != EEXIST) {
        return fmt::format("cannot make the ledger directory {}: {}", directory, std::strerror(errno));
    }
    if (int error = mdb_env_create(&env); error != 0) return explain(error);
    mdb_env_set_assert(env, on_lmdb_assert);
    mdb_env_set_maxdbs(env, tables_max);
    mdb_env_set_maxreaders(env, readers_max);
    mdb_env_set_mapsize(env, readers.map_bytes);
    // NOTLS ties a read transaction to its object instead of its thread, so it may be kept and renewed.
    if (int error = mdb_env_open(env, directory.c_str(), MDB_NOTLS, 0600); error != 0) return explain(error);
    if (auto checked = check_file(); !checked) return checked;
    if (auto opened = open_session(); !opened) return opened;
    readers.tables = *this;
    readers.written = env;
    readers.env = env;
    return {};
}

Result<void, std::string> Ledger::Impl::open_session() {
    MDB_txn* txn = nullptr;
    if (int error = mdb_txn_begin(env, nullptr, 0, &txn); error != 0) return explain(error);
    int error = open_tables(txn, *this, MDB_CREATE);
    auto begun = error == 0 ? begin_session(txn) : Result<void, std::string>(explain(error));
    if (!begun) {
        mdb_txn_abort(txn);
        return begun;
    }
    error = cause_of(mdb_txn_commit(txn));
    session_is_marked = error == 0;
    if (session_is_marked) return {};
    // A full disk keeps nobody from what is stored; the mark goes with the first change that is taken.
    if (!is_full(error) || wants_rebuild) return explain(error);
    health.note_failure("beginning a session", error);
    if (error = mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn); error != 0) return explain(error);
    error = open_tables(txn, *this, 0);
    if (error != 0) mdb_txn_abort(txn);
    else error = mdb_txn_commit(txn);
    return error == 0 ? Result<void, std::string>() : explain(error);
}

/// LMDB calls a write of which the file system took a part an I/O error: on a full one it is something else.
int Ledger::Impl::cause_of(int error) const {
    constexpr std::uint64_t full_below = 1 * MiB;
    struct ::statvfs space {};
    bool full =
        error == EIO && ::statvfs(directory.c_str(), &space) == 0 && std::uint64_t{space.f_bavail} * space.f_frsize < full_below;
    return full ? ENOSPC : error;
}

/// Reading a mapped page behind the end of the file would be a SIGBUS: a file that was cut short is found here.
Result<void, std::string> Ledger::Impl::check_file() const {
    int file = -1;
    struct ::stat status {};
    MDB_envinfo info{};
    MDB_stat layout{};
    mdb_env_get_fd(env, &file);
    mdb_env_info(env, &info);
    mdb_env_stat(env, &layout);
    if (::fstat(file, &status) < 0) return explain(errno);
    bool made_just_now = info.me_last_txnid == 0;
    auto needed = (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * layout.ms_psize;
    if (!made_just_now && static_cast<std::uint64_t>(status.st_size) < needed) return explain(MDB_CORRUPTED);
    return {};
}

Result<void, std::string> Ledger::Impl::begin_session(MDB_txn* txn) {
    auto format = find_number(txn, meta, key_format);
    if (format && *format > ledger_format) {
        return fmt::format("the ledger in {} has format {}, this version knows up to {}: start the newer version that wrote it",
                           directory, *format, ledger_format);
    }
    int error = 0;
    auto write = [&](std::string_view key, std::uint32_t number) {
        MetaValue value{number};
        if (error == 0) error = put(txn, meta, key, view_of_meta(value));
    };
    if (!format) {
        write(key_format, ledger_format);
        write(key_rebuild, 1);
    }
    ended_in_order = find_number(txn, meta, key_ended).value_or(0) == 1;
    wants_rebuild = find_number(txn, meta, key_rebuild).value_or(0) == 1;
    write(key_ended, 0);
    if (error != 0) return explain(error);
    return {};
}

int Ledger::Impl::put(MDB_txn* txn, MDB_dbi table, std::string_view key, std::string_view value) {
    auto at = value_of(key);
    auto what = value_of(value);
    return mdb_put(txn, table, &at, &what, 0);
}

int Ledger::Impl::remove(MDB_txn* txn, MDB_dbi table, std::string_view key) {
    if (key.size() > key_bytes_max) return 0;
    auto at = value_of(key);
    int error = mdb_del(txn, table, &at, nullptr);
    return error == MDB_NOTFOUND ? 0 : error;
}

bool Ledger::Impl::enlist(Waiter& waiter) {
    std::lock_guard guard(lock);
    if (last_waiting) last_waiting->later = &waiter;
    else first_waiting = &waiter;
    last_waiting = &waiter;
    return !std::exchange(has_leader, true);
}

Waiter* Ledger::Impl::take_batch() {
    std::lock_guard guard(lock);
    auto* batch = first_waiting;
    auto* last = batch;
    for (std::size_t count = 1; count < lists_a_commit_max && last->later; ++count) last = last->later;
    first_waiting = std::exchange(last->later, nullptr);
    if (!first_waiting) last_waiting = nullptr;
    return batch;
}

void Ledger::Impl::hand_over_lead() {
    std::lock_guard guard(lock);
    if (!first_waiting) {
        has_leader = false;
        return;
    }
    first_waiting->leads = true;
    first_waiting->origin->post(*first_waiting);
}

/// On the ledger lane. The leader is the oldest waiter, hence in the batch; its result returns with its job.
Result<void> Ledger::Impl::commit_waiting(Waiter& leader) {
    auto* batch = take_batch();
    ASSERT(batch == &leader);
    auto result = commit(batch);
    hand_over_lead();
    for (auto* waiter = leader.later; waiter;) {
        auto* later = waiter->later;  // the waiter may be gone as soon as it is posted
        waiter->result = result;
        waiter->origin->post(*waiter);
        waiter = later;
    }
    return result;
}

Result<void> Ledger::Impl::commit(const Waiter* batch) {
    if (health.state() == DiskHealth::State::closed) return Error{Fault::storage, Code::io_failed};
    MDB_txn* txn = nullptr;
    std::uint64_t lists = 0, tags_changed = 0;
    int error = mdb_txn_begin(env, nullptr, 0, &txn);
    if (error == 0 && !session_is_marked) error = put(txn, meta, key_ended, view_of_meta(MetaValue{0}));
    for (auto* waiter = batch; waiter && error == 0; waiter = waiter->later, ++lists) {
        for (auto& change : *waiter->changes) {
            error = apply_one(txn, change, tags_changed);
            if (error != 0) break;
        }
    }
    if (error == 0) error = mdb_txn_commit(txn);  // durable here; the transaction is gone whatever it returns
    else if (txn) mdb_txn_abort(txn);
    if (error != 0) {
        error = cause_of(error);
        note_refused(error);
        return error_of(error);
    }
    session_is_marked = true;
    health.note_success();
    tags_version.fetch_add(tags_changed, std::memory_order_relaxed);
    lists_committed.fetch_add(lists, std::memory_order_relaxed);
    transactions.fetch_add(1, std::memory_order_relaxed);
    return {};
}

/// A page that could not be written for want of room, or because nothing may be written, belonged to a transaction that is not true and is written anew by the next. Of any
/// other failure nobody knows what it left.
void Ledger::Impl::note_refused(int error) {
    bool retriable = error_of(error).code == Code::no_space || error == EROFS || is_shortage(error);
    if (!retriable || readers.has_ended())
        return health.close(fmt::format("changing it failed: {}", mdb_strerror(error)),
                            "it is read and not changed: look at the disk and at the kernel's log, then restart entrepot");
    if (error == MDB_TXN_FULL) return log_warning("the ledger in {} refuses changes that are too many at once", directory);
    if (error == MDB_MAP_FULL) return health.note_failure("growing within its map", ENOSPC);
    health.note_failure("changing it", error);
}

int Ledger::Impl::apply_one(MDB_txn* txn, const LedgerChange& change, std::uint64_t& tags_changed) {
    struct Apply {
        Impl& impl;
        MDB_txn* txn;
        std::uint64_t& tags_changed;
        int operator()(const PutBlob& put) { return impl.put_blob(txn, put); }
        int operator()(const RemoveBlob& remove) { return impl.remove_blob(txn, remove.digest, tags_changed); }
        int operator()(const MarkBlob& mark) { return impl.mark_blob(txn, mark); }
        int operator()(const PutSums& put) { return impl.put_sums(txn, put); }
        int operator()(const PutManifest& put) {
            ++tags_changed;
            return impl.put(txn, impl.manifests, digest_key(put.digest), manifest_value(put.record));
        }
        int operator()(const PutTag& put) { return impl.put_tag(txn, put, tags_changed); }
        int operator()(const RemoveTag& remove) {
            ++tags_changed;
            return impl.remove(txn, impl.tags, tag_key(remove.repository, remove.tag));
        }
        int operator()(const PutGrant& put) { return impl.put_grant(txn, put); }
        int operator()(const RemoveGrant& remove) {
            return impl.remove(txn, impl.grants, grant_key(remove.scope, remove.repository, remove.digest));
        }
        int operator()(const PutVolume& put) {
            return impl.put(txn, impl.meta, volume_key(put.record.index), volume_value(put.record));
        }
        int operator()(const PutSetting& put) { return impl.put(txn, impl.settings, put.key, setting_value(put.text)); }
        int operator()(const RemoveSetting& remove) { return impl.remove(txn, impl.settings, remove.key); }
        int operator()(const PutScrub& put) { return impl.put(txn, impl.meta, key_scrub, scrub_value(put.record)); }
        int operator()(const EndRebuild&) {
            impl.wants_rebuild = false;
            return impl.remove(txn, impl.meta, key_rebuild);
        }
    };
    return std::visit(Apply{*this, txn, tags_changed}, change);
}

int Ledger::Impl::put_blob(MDB_txn* txn, const PutBlob& change) {
    auto key = digest_key(change.digest);
    if (int error = put(txn, blobs, key, blob_value(change.record)); error != 0) return error;
    if (change.record.sums.empty()) return remove(txn, sums, key);
    return put(txn, sums, key, sums_value(change.record.sums));
}

int Ledger::Impl::remove_blob(MDB_txn* txn, const Digest& digest, std::uint64_t& tags_changed) {
    auto key = digest_key(digest);
    auto at = value_of(key);
    MDB_val found;
    std::optional<ManifestRecord> manifest;
    if (mdb_get(txn, manifests, &at, &found) == 0) {
        ++tags_changed;
        manifest = parse_manifest_value(view_of(found));
    }
    for (auto table : {blobs, sums, manifests}) {
        if (int error = remove(txn, table, key); error != 0) return error;
    }
    std::vector<std::string> sources;
    int error = remove_grants(txn, key, sources);
    return error == 0 && manifest ? remove_grants_of_absent(txn, *manifest, sources) : error;
}

int Ledger::Impl::mark_blob(MDB_txn* txn, const MarkBlob& change) {
    auto key = digest_key(change.digest);
    auto at = value_of(key);
    MDB_val found;
    if (mdb_get(txn, blobs, &at, &found) != 0) return 0;
    auto record = parse_blob_value(view_of(found));
    if (!record) return 0;
    record->flags = change.flags;
    return put(txn, blobs, key, blob_value(*record));
}

int Ledger::Impl::put_sums(MDB_txn* txn, const PutSums& change) {
    auto key = digest_key(change.digest);
    auto at = value_of(key);
    MDB_val found;
    if (mdb_get(txn, blobs, &at, &found) != 0) return 0;
    return change.sums.empty() ? remove(txn, sums, key) : put(txn, sums, key, sums_value(change.sums));
}

/// `sources` becomes what follows the digest in the keys: whom it was granted.
int Ledger::Impl::remove_grants(MDB_txn* txn, const std::string& digest, std::vector<std::string>& sources) {
    Cursor cursor(txn, grants);
    bool found = cursor.seek(digest);
    while (found && cursor.key().starts_with(digest)) {
        sources.emplace_back(cursor.key().substr(digest.size()));
        if (int error = cursor.remove(); error != 0) return error;
        found = cursor.seek(digest);
    }
    return 0;
}

/// Most of an index's children are never asked for: what was granted of them with the index goes with it, or the ledger would only grow.
int Ledger::Impl::remove_grants_of_absent(MDB_txn* txn, const ManifestRecord& manifest, const std::vector<std::string>& sources) {
    for (auto& reference : manifest.references) {
        auto key = digest_key(reference);
        auto at = value_of(key);
        MDB_val found;
        if (mdb_get(txn, blobs, &at, &found) == 0) continue;
        for (auto& source : sources) {
            if (int error = remove(txn, grants, key + source); error != 0) return error;
        }
    }
    return 0;
}

int Ledger::Impl::put_tag(MDB_txn* txn, const PutTag& change, std::uint64_t& tags_changed) {
    auto key = tag_key(change.repository, change.tag);
    auto at = value_of(key);
    MDB_val found;
    auto before = mdb_get(txn, tags, &at, &found) == 0 ? parse_tag_value(view_of(found)) : std::nullopt;
    if (!before || !(before->digest == change.record.digest)) ++tags_changed;
    return put(txn, tags, key, tag_value(change.record));
}

int Ledger::Impl::put_grant(MDB_txn* txn, const PutGrant& change) {
    auto holder = holder_key(change.scope, change.repository);
    auto key = digest_key(change.digest) + holder;
    MDB_val found;
    auto at = value_of(holder);
    if (mdb_get(txn, holders, &at, &found) != 0) {
        if (int error = put(txn, holders, holder, holder_value(change.scope, change.repository)); error != 0) return error;
    }
    at = value_of(key);
    std::string platform = change.platform;
    if (platform.empty() && mdb_get(txn, grants, &at, &found) == 0) platform = parse_told_platform(view_of(found));
    return put(txn, grants, key, grant_value(wall_seconds(), change.told_bytes, platform));
}

void HolderSet::add(Holder holder) {
    if (places_.try_emplace(holder_key(holder.scope, holder.repository), holders_.size()).second)
        holders_.push_back(std::move(holder));
}

Ledger::Ledger(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::~Ledger() = default;

Result<std::unique_ptr<Ledger>, std::string> Ledger::open(const Options& options) {
    auto impl = std::make_unique<Impl>(options);
    auto opened = impl->open();
    if (!opened) return opened.error();
    return std::unique_ptr<Ledger>(new Ledger(std::move(impl)));
}

std::optional<BlobRecord> Ledger::find_blob(const Digest& digest) const {
    Reading reading(impl_->readers);
    auto key = digest_key(digest);
    auto found = reading.find(impl_->blobs, key);
    auto record = found ? parse_blob_value(*found) : std::nullopt;
    if (!record) return std::nullopt;
    if (auto sums = reading.find(impl_->sums, key)) record->sums = parse_sums_value(*sums);
    return record;
}

std::optional<BlobRecord> Ledger::find_blob_head(const Digest& digest) const {
    Reading reading(impl_->readers);
    auto found = reading.find(impl_->blobs, digest_key(digest));
    return found ? parse_blob_value(*found) : std::nullopt;
}

std::uint64_t Ledger::blob_count() const {
    Reading reading(impl_->readers);
    MDB_stat stat{};
    if (reading.txn()) mdb_stat(reading.txn(), impl_->blobs, &stat);
    return stat.ms_entries;
}

std::optional<Digest> Ledger::next_blob(const std::optional<Digest>& last) const {
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->blobs);
    auto from = last ? digest_key(*last) : std::string();
    for (bool found = cursor.seek(from); found; found = cursor.next()) {
        if (cursor.key() == from) continue;
        if (auto digest = parse_digest_key(cursor.key())) return digest;
    }
    return std::nullopt;
}

ScrubRecord Ledger::scrub() const {
    Reading reading(impl_->readers);
    auto found = reading.find(impl_->meta, key_scrub);
    auto record = found ? parse_scrub_value(*found) : std::nullopt;
    return record ? *record : ScrubRecord();
}

std::optional<ManifestRecord> Ledger::find_manifest(const Digest& digest) const {
    Reading reading(impl_->readers);
    auto found = reading.find(impl_->manifests, digest_key(digest));
    return found ? parse_manifest_value(*found) : std::nullopt;
}

bool Ledger::is_manifest(const Digest& digest) const {
    Reading reading(impl_->readers);
    return reading.find(impl_->manifests, digest_key(digest)).has_value();
}

std::optional<TagRecord> Ledger::find_tag(const std::string& repository, const std::string& tag) const {
    Reading reading(impl_->readers);
    auto found = reading.find(impl_->tags, tag_key(repository, tag));
    return found ? parse_tag_value(*found) : std::nullopt;
}

bool Ledger::granted(const std::string& scope, const std::string& repository, const Digest& digest) const {
    Reading reading(impl_->readers);
    return reading.find(impl_->grants, grant_key(scope, repository, digest)).has_value();
}

std::optional<std::uint64_t> Ledger::told_bytes(const std::string& scope, const std::string& repository,
                                                const Digest& digest) const {
    Reading reading(impl_->readers);
    auto grant = reading.find(impl_->grants, grant_key(scope, repository, digest));
    auto bytes = grant ? parse_told_bytes(*grant) : 0;
    return bytes > 0 ? std::optional(bytes) : std::nullopt;
}

/// Those after `last`, in lexical order, at most `count_max`.
template <typename Visit>
void Ledger::Impl::walk_tags(const std::string& repository, const std::string& last, std::size_t count_max, Visit visit) {
    Reading reading(readers);
    Cursor cursor(reading.txn(), tags);
    std::size_t count = 0;
    for (bool found = cursor.seek(tag_key(repository, last)); found && count < count_max; found = cursor.next()) {
        auto key = parse_tag_key(cursor.key());
        if (!key || key->first != repository) break;
        if (key->second <= last) continue;
        visit(key->second, cursor.value());
        ++count;
    }
}

std::string Ledger::told_platform(const std::string& scope, const std::string& repository, const Digest& digest) const {
    Reading reading(impl_->readers);
    auto grant = reading.find(impl_->grants, grant_key(scope, repository, digest));
    return grant ? std::string(parse_told_platform(*grant)) : std::string();
}

bool Ledger::granted_to_anybody(const Digest& digest) const {
    auto key = digest_key(digest);
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->grants);
    return cursor.seek(key) && cursor.key().starts_with(key);
}

std::vector<Holder> Ledger::list_holders(std::string_view prefix) const {
    std::vector<Holder> found;
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->holders);
    for (bool more = cursor.first(); more; more = cursor.next()) {
        auto holder = parse_holder_value(cursor.value());
        if (holder && holder->repository.starts_with(prefix)) found.push_back(*std::move(holder));
    }
    return found;
}

GrantedDigest Ledger::grants_of(const HolderSet& wanted, const Digest& digest) const {
    GrantedDigest granted;
    granted.digest = digest;
    auto key = digest_key(digest);
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->grants);
    for (bool more = cursor.seek(key); more && cursor.key().starts_with(key); more = cursor.next()) {
        auto place = wanted.places_.find(std::string(cursor.key().substr(key.size())));
        if (place == wanted.places_.end()) granted.granted_to_others = true;
        else granted.holders.push_back(place->second);
    }
    return granted;
}

GrantPage Ledger::list_grants(const HolderSet& wanted, const std::string& from, std::size_t looks_max) const {
    GrantPage page;
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->grants);
    GrantedDigest current;
    auto finish = [&] {
        if (!current.holders.empty()) page.digests.push_back(std::move(current));
        current = GrantedDigest();
    };
    std::string current_key;
    std::size_t looks = 0;
    for (bool more = cursor.seek(from); more; more = cursor.next(), ++looks) {
        auto rest = cursor.key();
        auto digest = take_digest(rest);
        if (!digest) continue;
        auto key = cursor.key().substr(0, cursor.key().size() - rest.size());
        if (key != current_key) {
            finish();
            current_key = key;
            current.digest = *digest;
            if (looks >= looks_max) {
                page.next = current_key;
                return page;
            }
        }
        auto place = wanted.places_.find(std::string(rest));
        if (place == wanted.places_.end()) current.granted_to_others = true;
        else current.holders.push_back(place->second);
    }
    finish();
    return page;
}

std::vector<std::string> Ledger::list_tags(const std::string& repository, const std::string& last, std::size_t count_max) const {
    std::vector<std::string> names;
    auto add = [&names](std::string_view tag, std::string_view) { names.emplace_back(tag); };
    impl_->walk_tags(repository, last, count_max, add);
    return names;
}

std::vector<std::pair<std::string, TagRecord>> Ledger::list_tag_records(const std::string& repository, const std::string& last,
                                                                        std::size_t count_max) const {
    std::vector<std::pair<std::string, TagRecord>> tags;
    auto add = [&tags](std::string_view tag, std::string_view value) {
        auto record = parse_tag_value(value);
        if (record) tags.emplace_back(tag, *std::move(record));
    };
    impl_->walk_tags(repository, last, count_max, add);
    return tags;
}

std::vector<std::string> Ledger::list_repositories(const std::string& last, std::size_t count_max) const {
    std::vector<std::string> names;
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->tags);
    // \1 follows the \0 that ends a repository and precedes every character of a name: one seek passes all tags of a repository.
    auto behind = [](std::string_view repository) { return std::string(repository) + '\1'; };
    bool found = cursor.seek(last.empty() ? std::string() : behind(last));
    while (found && names.size() < count_max) {
        auto key = parse_tag_key(cursor.key());
        if (!key) break;
        auto repository = std::string(key->first);
        if (repository > last) names.push_back(repository);
        found = cursor.seek(behind(repository));
    }
    return names;
}

void Ledger::each_blob(const std::function<void(const Digest&, std::uint64_t, std::uint8_t, std::uint8_t)>& visit) const {
    // The order of age is no order in memory, hence the prefetch.
    constexpr std::size_t prefetch_distance = 12;
    std::vector<FoundBlob> found;
    found.reserve(blob_count());
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->blobs);
    std::uint64_t unreadable = 0;
    for (bool more = cursor.first(); more; more = cursor.next()) {
        auto record = parse_blob_value(cursor.value());
        if (record && parse_digest_key(cursor.key()))
            found.push_back({record->created, cursor.key().data(), cursor.value().data()});
        else ++unreadable;
    }
    sort_by_age(found);
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (i + prefetch_distance < found.size()) {
            __builtin_prefetch(found[i + prefetch_distance].key);
            __builtin_prefetch(found[i + prefetch_distance].value);
        }
        auto record = parse_blob_value({found[i].value, sizeof(BlobValue)});
        visit(*read_digest_key(found[i].key), record->size, record->volume, record->flags);
    }
    if (unreadable > 0)
        log_warning("the ledger in {} has {} blob records that this version cannot read", impl_->directory, unreadable);
}

void Ledger::each_tag(const std::function<void(const std::string&, const std::string&, const TagRecord&)>& visit) const {
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->tags);
    for (bool found = cursor.first(); found; found = cursor.next()) {
        auto key = parse_tag_key(cursor.key());
        auto record = parse_tag_value(cursor.value());
        if (key && record) visit(std::string(key->first), std::string(key->second), *record);
    }
}

std::vector<VolumeRecord> Ledger::volumes() const {
    std::vector<VolumeRecord> volumes;
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->meta);
    for (bool found = cursor.seek(key_volume); found && cursor.key().starts_with(key_volume); found = cursor.next()) {
        if (cursor.key().size() != key_volume.size() + 1) continue;
        auto record = parse_volume_value(static_cast<std::uint8_t>(cursor.key().back()), cursor.value());
        if (record) volumes.push_back(std::move(*record));
    }
    return volumes;
}

void Ledger::each_setting(const std::function<void(std::string_view, std::string_view)>& visit) const {
    Reading reading(impl_->readers);
    Cursor cursor(reading.txn(), impl_->settings);
    for (bool found = cursor.first(); found; found = cursor.next()) {
        auto text = parse_setting_value(cursor.value());
        if (text) visit(cursor.key(), *text);
        else
            log_warning("the ledger in {} has a setting \"{}\" that this version cannot read", impl_->directory,
                        escaped(cursor.key(), 300));
    }
}

std::uint64_t Ledger::tags_version() const noexcept { return impl_->tags_version.load(std::memory_order_relaxed); }
DiskHealth& Ledger::health() const noexcept { return impl_->health; }
bool Ledger::wants_rebuild() const noexcept { return impl_->wants_rebuild; }
bool Ledger::ended_in_order() const noexcept { return impl_->ended_in_order; }

Ledger::Commits Ledger::commits() const noexcept {
    return {impl_->lists_committed.load(std::memory_order_relaxed), impl_->transactions.load(std::memory_order_relaxed)};
}

Task<Result<void>> Ledger::apply(std::vector<LedgerChange> changes) {
    if (changes.empty()) co_return Result<void>();
    for (auto& change : changes) {
        if (auto fits = check_bounds(change); !fits) co_return fits;
    }
    Waiter waiter;
    waiter.run = &Waiter::on_origin;
    waiter.changes = &changes;
    waiter.origin = &Loop::current();
    bool leads = impl_->enlist(waiter);
    if (!leads) {
        co_await Parked{waiter};
        leads = waiter.leads;
    }
    if (!leads) co_return waiter.result;
    auto& impl = *impl_;
    auto commit = [&impl, &waiter] { return impl.commit_waiting(waiter); };
    auto result = co_await run_blocking(Lane::ledger, commit);
    co_return result;
}

void Ledger::warm() const noexcept {
    int file = -1;
    if (mdb_env_get_fd(impl_->env, &file) == 0) ::posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED);
}

void Ledger::mark_end_in_order() noexcept {
    MDB_txn* txn = nullptr;
    if (impl_->health.state() == DiskHealth::State::closed || mdb_txn_begin(impl_->env, nullptr, 0, &txn) != 0) return;
    MetaValue ended{1};
    int error = impl_->put(txn, impl_->meta, key_ended, view_of_meta(ended));
    if (error == 0) error = mdb_txn_commit(txn);
    else mdb_txn_abort(txn);
    if (error != 0)
        log_warning("the ledger could not note an orderly end: {}; the next start looks for strays", mdb_strerror(error));
}

}  // namespace entrepot
