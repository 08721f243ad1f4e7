#include "store/blob_table.h"

#include "entrepot/base/random.h"

#include <bit>

namespace entrepot {

constexpr std::size_t slots_min = 1024;

BlobTable::BlobTable(std::size_t expected)
    : seed_(hash_seed()), slots_(std::bit_ceil(std::max(slots_min, expected + expected / 2))) {}

std::size_t BlobTable::home(const Digest& digest) const noexcept {
    auto mixed = (digest.hash() ^ seed_) * 0x9e3779b97f4a7c15u;
    return (mixed >> 32 ^ mixed) & (slots_.size() - 1);
}

EvictionEntry* BlobTable::find(const Digest& digest) const noexcept {
    for (auto slot = home(digest); slots_[slot]; slot = after(slot)) {
        if (slots_[slot]->digest == digest) return slots_[slot];
    }
    return nullptr;
}

void BlobTable::insert(EvictionEntry& entry) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    place(entry);
    ++size_;
}

void BlobTable::place(EvictionEntry& entry) noexcept {
    auto slot = home(entry.digest);
    for (; slots_[slot]; slot = after(slot)) ASSERT(!(slots_[slot]->digest == entry.digest));
    slots_[slot] = &entry;
}

void BlobTable::grow() {
    std::vector<EvictionEntry*> old(slots_.size() * 2);
    old.swap(slots_);
    for (auto* entry : old) {
        if (entry) place(*entry);
    }
}

void BlobTable::erase(const EvictionEntry& entry) noexcept {
    auto hole = home(entry.digest);
    while (slots_[hole] != &entry) {
        ASSERT(slots_[hole]);
        hole = after(hole);
    }
    // What follows moves back over the hole unless that would put it before its home; so no search ever meets a gap.
    for (auto slot = after(hole); slots_[slot]; slot = after(slot)) {
        auto wanted = home(slots_[slot]->digest);
        bool stays = hole < slot ? hole < wanted && wanted <= slot : hole < wanted || wanted <= slot;
        if (stays) continue;
        slots_[hole] = slots_[slot];
        hole = slot;
    }
    slots_[hole] = nullptr;
    --size_;
}

}  // namespace entrepot
