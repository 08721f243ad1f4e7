#pragma once
// Which partial files are kept for a resume. Bounded in number and age by its caller; any thread may ask, the owner's loop changes it.

#include "entrepot/oci/digest.h"

#include <mutex>
#include <optional>
#include <unordered_map>

namespace entrepot {

class Volume;

struct KeptPartial {
    Digest digest;
    Volume* volume = nullptr;
    std::uint64_t charged_bytes = 0;    ///< taken from the account
    std::uint64_t resumable_bytes = 0;  ///< at most, by the length of its list of sums
    std::int64_t kept_at = 0;           ///< wall seconds
};

class Partials {
  public:
    std::uint64_t resumable_bytes(const Digest& digest) const noexcept;
    std::size_t count() const noexcept;
    /// The digest is not kept yet.
    void put(const KeptPartial& partial);
    std::optional<KeptPartial> take(const Digest& digest);
    /// The oldest of the volume (nullptr: of all); only when it was kept before `older_than`.
    std::optional<KeptPartial> take_oldest(const Volume* only = nullptr, std::int64_t older_than = INT64_MAX);

  private:
    mutable std::mutex lock_;
    std::unordered_map<Digest, KeptPartial, DigestHash> kept_;
};

}  // namespace entrepot
