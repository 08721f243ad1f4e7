#pragma once
// A store on a real directory that goes with the test, the loop it runs on, and the blocking lanes. `reopen()` is an orderly restart.

#include "entrepot/io/blocking.h"
#include "entrepot/io/buffer_pool.h"
#include "entrepot/store/store.h"

#include "support/run_task.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace entrepot {

/// A fresh directory beneath TMPDIR, removed with what it holds.
class ScratchDirectory {
  public:
    explicit ScratchDirectory(bool wanted = true) {
        if (!wanted) return;
        const char* base = std::getenv("TMPDIR");
        make(base ? base : "/tmp");
    }
    explicit ScratchDirectory(const std::string& base) { make(base); }
    ~ScratchDirectory() {
        if (path_.empty()) return;
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    const std::string& path() const { return path_; }

    /// On a disk, as far as the machine has one there: a file system in memory forgets no pages and knows no O_DIRECT.
    static ScratchDirectory on_disk() { return ScratchDirectory(std::string("/var/tmp")); }

  private:
    void make(const std::string& base) {
        std::string form = base + "/entrepot-test-XXXXXX";
        if (!::mkdtemp(form.data())) FAIL("no scratch directory");
        path_ = form;
    }
    std::string path_;
};

struct RunningLanes {
    RunningLanes() { start_lanes(); }
    ~RunningLanes() { stop_lanes(); }
};

inline std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const std::filesystem::path& path, std::string_view text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc).write(text.data(), static_cast<std::streamsize>(text.size()));
}

/// Bytes that differ from chunk to chunk and from seed to seed.
inline std::string content(std::size_t length, std::uint64_t seed = 1) {
    std::string text(length, '\0');
    for (auto& c : text) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        c = static_cast<char>(seed >> 56);
    }
    return text;
}

inline Digest digest_of(std::string_view text) { return Digest::of(bytes_of(text)); }

class StoreBox {
  public:
    /// `directory`: another's, for a second life of the same store.
    explicit StoreBox(std::uint64_t capacity_bytes = GiB, const std::string& directory = {}) : scratch(directory.empty()) {
        options.directory = directory.empty() ? scratch.path() + "/store" : directory;
        options.capacity_bytes = capacity_bytes;
    }
    ~StoreBox() { close(); }

    void open() {
        auto opened = Store::open(options);
        if (!opened) FAIL(opened.error());
        store = std::move(*opened);
        auto started = loop.run(store->start());
        REQUIRE(started);
    }
    void close() {
        if (!store) return;
        loop.run(store->stop());
        store.reset();
    }
    /// Of a closed store: whether its last end was in order, so that a start looks for no strays.
    bool in_order() const {
        Ledger::Options of_ledger;
        of_ledger.directory = options.directory + "/ledger";
        auto ledger = Ledger::open(of_ledger);
        if (!ledger) FAIL(ledger.error());
        bool ended = (*ledger)->ended_in_order();
        if (ended) (*ledger)->mark_end_in_order();  // as we found it
        return ended;
    }
    /// Closes once the start's look for strays is over: before that an end is not in order, and a busy machine takes its time.
    void close_in_order() {
        for (int tries = 0; tries < 100; ++tries) {
            close();
            if (in_order()) return;
            open();
            loop.run_for(std::chrono::milliseconds(20));
        }
        FAIL("the store does not end in order");
    }
    void reopen() {
        close();
        open();
    }
    /// Maintenance and sweeps run on the loop: give them turns until `reached`.
    void until(const std::function<bool()>& reached) { loop.run_until(reached); }

    Result<std::unique_ptr<BlobWriter>> begin(const Digest& digest, std::optional<std::uint64_t> length = {}) {
        Digester digester(digest.algorithm());
        return loop.run(store->begin(digest, length, digester));
    }
    Result<void> append(BlobWriter& writer, std::string_view text) {
        while (!text.empty()) {
            auto piece = text.substr(0, BufferPool::buffer_bytes);
            auto appended = loop.run(writer.append(bytes_of(piece), -1));
            if (!appended) return appended;
            text.remove_prefix(piece.size());
        }
        return {};
    }
    Result<BlobRef> put(const std::string& text, bool length_known = true) {
        auto writer = begin(digest_of(text), length_known ? std::optional(std::uint64_t{text.size()}) : std::nullopt);
        if (!writer) return writer.error();
        auto appended = append(**writer, text);
        if (!appended) {
            loop.run((*writer)->abandon(false));
            return appended.error();
        }
        return loop.run((*writer)->publish());
    }
    Result<BlobRef> get(const Digest& digest) { return loop.run(store->open(digest)); }
    bool has(const Digest& digest) { return get(digest).has_value(); }
    /// Opened and equal to `text` in every chunk.
    bool holds(const std::string& text) {
        auto blob = get(digest_of(text));
        if (!blob) return false;
        auto back = read(*blob);
        return back && *back == text;
    }
    /// All chunks through read_chunk, or the error of the first that failed.
    Result<std::string> read(const BlobRef& blob) {
        auto buffer = buffers.try_take();
        std::string text;
        for (std::uint64_t chunk = 0; chunk < chunk_count(blob->size()); ++chunk) {
            auto bytes = loop.run(blob->read_chunk(chunk, buffer));
            if (!bytes) return bytes.error();
            text += text_of(*bytes);
        }
        return text;
    }
    std::filesystem::path blob_path(const Digest& digest) const {
        return path("blobs") / std::string(digest.algorithm_name()) / digest.hex();
    }
    std::filesystem::path partial_path(const Digest& digest) const {
        return path(".entrepot/partial") / (std::string(digest.algorithm_name()) + "-" + digest.hex());
    }
    std::filesystem::path path(std::string_view below) const { return std::filesystem::path(options.directory) / below; }
    Result<void> apply(LedgerChange change) {
        std::vector<LedgerChange> changes;
        changes.push_back(std::move(change));
        return loop.run(store->ledger().apply(std::move(changes)));
    }

    ScratchDirectory scratch;
    Store::Options options;
    TestLoop loop;
    BufferPool buffers{loop->ring(), 2};
    std::unique_ptr<TestLoop> other_loop;  // for a test's second thread
    RunningLanes lanes;                    // end before the loops: a lane that posted its answer still has to ring the doorbell
    std::unique_ptr<Store> store;
};

struct DiskDirectory {
    ScratchDirectory disk = ScratchDirectory::on_disk();  // outlives the store in it
};

struct ColdBox : DiskDirectory, StoreBox {
    ColdBox() : StoreBox(GiB, disk.path() + "/store") { options.memory_bytes = 16 * MiB; }
    /// Stored, and as a box meets it that has just been started: out of memory. False where that cannot be had.
    bool put_cold(const std::string& text) {
        REQUIRE(put(text));
        reopen();
        int file = ::open(blob_path(digest_of(text)).c_str(), O_RDONLY | O_CLOEXEC);
        REQUIRE(file >= 0);
        ::fsync(file);
        ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        bool cold = !loop->ring().resident(file, 0, text.size(), false);
        int direct = ::open(blob_path(digest_of(text)).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
        ::close(file);
        if (direct >= 0) ::close(direct);
        if (!cold || direct < 0) MESSAGE("/var/tmp keeps its files in memory or knows no O_DIRECT: nothing to see here");
        return cold && direct >= 0;
    }
};

}  // namespace entrepot
