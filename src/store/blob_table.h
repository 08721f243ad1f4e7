#pragma once
// Finds the eviction entry of a stored digest. Open addressing over pointers, because the entries carry their digests: 16 to 32 bytes a blob. Owner's loop only.
// Slots are drawn with the process's seed: nobody outside can aim digests at one slot.

#include "entrepot/store/eviction.h"

#include <vector>

namespace entrepot {

class BlobTable {
  public:
    explicit BlobTable(std::size_t expected = 0);

    EvictionEntry* find(const Digest& digest) const noexcept;
    /// The digest is not in the table.
    void insert(EvictionEntry& entry);
    /// The entry is in the table; it still carries its digest.
    void erase(const EvictionEntry& entry) noexcept;
    std::size_t size() const noexcept { return size_; }

  private:
    std::size_t home(const Digest& digest) const noexcept;
    std::size_t after(std::size_t slot) const noexcept { return (slot + 1) & (slots_.size() - 1); }
    void place(EvictionEntry& entry) noexcept;
    void grow();

    std::uint64_t seed_;
    std::vector<EvictionEntry*> slots_;  // a power of two, at most three quarters full
    std::size_t size_ = 0;
};

}  // namespace entrepot
