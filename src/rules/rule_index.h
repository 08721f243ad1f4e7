#pragma once
// A hash table from keys to 32-bit numbers that holds no keys: the caller hashes, and says whether a number's key is the one it
// seeks. Open addressing, at most half full, 8 bytes a slot, so that a usual probe costs one cache line. Filled once, then read.

#include "entrepot/base/assert.h"

#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

namespace entrepot {

class RuleIndex {
  public:
    RuleIndex() : RuleIndex(0) {}
    explicit RuleIndex(std::size_t keys_max) : slots_(std::bit_ceil(2 * keys_max + 2)), left_(keys_max) {}

    /// The first number with this hash that `has_key` accepts.
    template <typename HasKey>
    std::optional<std::uint32_t> find(std::uint64_t hash, HasKey&& has_key) const noexcept {
        for (std::size_t at = start_of(hash); slots_[at].number != empty; at = next_of(at)) {
            if (slots_[at].tag == tag_of(hash) && has_key(slots_[at].number)) return slots_[at].number;
        }
        return std::nullopt;
    }

    /// Adds a key that is not there yet.
    void insert(std::uint64_t hash, std::uint32_t number) noexcept {
        ASSERT(left_ > 0 && number != empty);
        --left_;
        std::size_t at = start_of(hash);
        while (slots_[at].number != empty) at = next_of(at);
        slots_[at] = {tag_of(hash), number};
    }

    /// Lets the key that leads to `before` lead to `after`.
    void replace(std::uint64_t hash, std::uint32_t before, std::uint32_t after) noexcept {
        std::size_t at = start_of(hash);
        while (slots_[at].number != before) {
            ASSERT(slots_[at].number != empty);
            at = next_of(at);
        }
        slots_[at].number = after;
    }

    /// Starts to bring the slot of a key that is going to be sought.
    void prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&slots_[start_of(hash)]); }

  private:
    static constexpr std::uint32_t empty = UINT32_MAX;
    struct Slot {
        std::uint32_t tag = 0;  // the half of the hash that does not choose the slot
        std::uint32_t number = empty;
    };
    static std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash >> 32); }
    std::size_t start_of(std::uint64_t hash) const noexcept { return hash & (slots_.size() - 1); }
    std::size_t next_of(std::size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }

    std::vector<Slot> slots_;
    std::size_t left_;
};

}  // namespace entrepot
