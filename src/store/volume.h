#pragma once
// One directory on one disk, laid out as an OCI image layout with our own things in .entrepot/. It owns the descriptors of its directories, knows who it is (an id in
// .entrepot/volume, so that the ledger finds it again under another path), and whether its disk can be trusted at the moment.

#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/oci/digest.h"

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace entrepot {

class Volume {
  public:
    /// Failures in a row after which a volume gets no new blobs for a while: the disk may be dying, or mounted read-only.
    static constexpr unsigned failures_max = 3;
    static constexpr Duration rest_time = seconds(60);

    /// Takes over `root`, an open and locked directory of `bytes` (its file system's size, the volume's weight in placement).
    Volume(std::string path, int root, std::uint64_t bytes) noexcept : path_(std::move(path)), root_(root), bytes_(bytes) {}
    ~Volume();
    Volume(const Volume&) = delete;
    Volume& operator=(const Volume&) = delete;

    /// Makes what is missing of the layout and opens it. `may_be_lost`: this path was a volume before, so a directory without .entrepot/ is an empty mount point
    /// and not to be filled (Code::not_found). `fresh_id` becomes the id of a new volume. Code::unsupported: a newer entrepot's volume.
    Task<Result<void>> prepare(std::uint64_t fresh_id, bool may_be_lost);

    const std::string& path() const noexcept { return path_; }
    std::uint64_t id() const noexcept { return id_; }
    std::uint8_t index() const noexcept { return index_; }
    void set_index(std::uint8_t index) noexcept { index_ = index; }

    std::uint64_t bytes() const noexcept { return bytes_; }

    int root() const noexcept { return root_; }
    int blobs(DigestAlgorithm algorithm) const noexcept { return blobs_[static_cast<std::size_t>(algorithm)]; }
    int partials() const noexcept { return partials_; }
    int quarantine() const noexcept { return quarantine_; }

    // Any thread.
    bool healthy(Instant time) const noexcept { return rests_until_ns_.load(std::memory_order_relaxed) <= time.ns; }
    /// A write, a sync or a change of names failed: one log line a minute, and rest after failures_max in a row. Neither a full disk nor a shortage is a failure of the disk.
    void note_failure(const char* what, int error) noexcept;
    void note_success() noexcept { failures_.store(0, std::memory_order_relaxed); }

    /// How much this volume wants the digest: the highest of all healthy volumes gets it (rendezvous hashing, weighted by size), so a lost or added volume moves
    /// only its own share.
    double score(const Digest& digest) const noexcept;

  private:
    Task<Result<void>> make_directories();
    Task<Result<void>> open_directories();
    Task<Result<void>> know_yourself(std::uint64_t fresh_id);
    Task<Result<void>> write_layout();

    std::string path_;
    int root_;
    std::uint64_t bytes_;
    std::uint64_t id_ = 0;
    std::uint8_t index_ = 0;
    std::array<int, 2> blobs_{-1, -1};
    int partials_ = -1;
    int quarantine_ = -1;
    std::atomic<unsigned> failures_{0};
    std::atomic<std::int64_t> rests_until_ns_{0};
    std::atomic<std::int64_t> silent_until_ns_{0};
};

/// The volume that shall hold a new blob; nullptr when all of them rest.
Volume* choose_volume(std::span<const std::unique_ptr<Volume>> volumes, const Digest& digest, Instant time) noexcept;

/// "sha256-<hex>": how partial and quarantined files are named. The way back is nullopt for any other name.
std::string flat_name(const Digest& digest);
std::optional<Digest> parse_flat_name(std::string_view name) noexcept;

/// The disk has no room.
bool is_full(int error) noexcept;
/// The process has no descriptor or memory left: no fault of the disk.
bool is_shortage(int error) noexcept;
/// What a failed disk operation becomes: no_space, io_failed, or Fault::capacity Code::busy for a shortage.
Error disk_error(int error) noexcept;

}  // namespace entrepot
