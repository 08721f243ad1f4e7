#pragma once
// One directory on one disk, laid out as an OCI image layout with our own things in .entrepot/. It owns the descriptors of its directories, knows who it is (an id in
// .entrepot/volume, so that the ledger finds it again under another path), and whether its disk can be trusted at the moment.

#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/oci/digest.h"
#include "entrepot/store/disk_health.h"

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace entrepot {

class Volume {
  public:
    /// Takes over `root`, an open and locked directory of `bytes` (its file system's size, the volume's weight in placement). `health` bears its path, and outlives it.
    Volume(DiskHealth& health, int root, std::uint64_t bytes) noexcept : health_(health), root_(root), bytes_(bytes) {}
    ~Volume();
    Volume(const Volume&) = delete;
    Volume& operator=(const Volume&) = delete;

    /// Makes what is missing of the layout and opens it. `may_be_lost`: this path was a volume before, so a directory without .entrepot/ is an empty mount point
    /// and not to be filled (Code::not_found). `fresh_id` becomes the id of a new volume. Code::unsupported: a newer entrepot's volume.
    Task<Result<void>> prepare(std::uint64_t fresh_id, bool may_be_lost);

    const std::string& path() const noexcept { return health_.path(); }
    DiskHealth& health() const noexcept { return health_; }
    std::uint64_t id() const noexcept { return id_; }
    std::uint8_t index() const noexcept { return index_; }
    void set_index(std::uint8_t index) noexcept { index_ = index; }

    std::uint64_t bytes() const noexcept { return bytes_; }

    int root() const noexcept { return root_; }
    int blobs(DigestAlgorithm algorithm) const noexcept { return blobs_[static_cast<std::size_t>(algorithm)]; }
    int partials() const noexcept { return partials_; }
    int quarantine() const noexcept { return quarantine_; }

    /// How much this volume wants the digest: the highest of all volumes that take writes gets it (rendezvous hashing, weighted by size), so a lost or added volume moves
    /// only its own share.
    double score(const Digest& digest) const noexcept;

  private:
    Task<Result<void>> make_directories();
    Task<Result<void>> open_directories();
    Task<Result<void>> know_yourself(std::uint64_t fresh_id);
    Task<Result<void>> write_layout();

    DiskHealth& health_;
    int root_;
    std::uint64_t bytes_;
    std::uint64_t id_ = 0;
    std::uint8_t index_ = 0;
    std::array<int, 2> blobs_{-1, -1};
    int partials_ = -1;
    int quarantine_ = -1;
};

/// The volume that shall hold a new blob; nullptr when none takes writes.
Volume* choose_volume(std::span<const std::unique_ptr<Volume>> volumes, const Digest& digest) noexcept;

/// "sha256-<hex>": how partial and quarantined files are named. The way back is nullopt for any other name.
std::string flat_name(const Digest& digest);
std::optional<Digest> parse_flat_name(std::string_view name) noexcept;

/// What a failed disk operation becomes: no_space, io_failed, or Fault::capacity Code::busy for a shortage.
Error disk_error(int error) noexcept;

}  // namespace entrepot
