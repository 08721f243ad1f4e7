#pragma once
// A hash table from keys to rule numbers that holds no keys: the caller hashes, and says which rule has the key. Open
// addressing, at most half full, one cache line for a usual probe. Filled once, then only read.

#include "entrepot/base/assert.h"

#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

namespace entrepot {

class RuleIndex {
  public:
    RuleIndex() : RuleIndex(0) {}
    explicit RuleIndex(std::size_t rules_max) : slots_(std::bit_ceil(2 * rules_max + 2)), left_(rules_max) {}

    /// The first rule with this hash that `has_key` accepts.
    template <typename HasKey>
    std::optional<std::uint32_t> find(std::uint64_t hash, HasKey&& has_key) const noexcept {
        for (std::size_t at = start_of(hash); slots_[at].rule != empty; at = next_of(at)) {
            if (slots_[at].hash == hash && has_key(slots_[at].rule)) return slots_[at].rule;
        }
        return std::nullopt;
    }

    /// Adds a key that is not there yet.
    void insert(std::uint64_t hash, std::uint32_t rule) noexcept {
        ASSERT(left_ > 0);
        --left_;
        std::size_t at = start_of(hash);
        while (slots_[at].rule != empty) at = next_of(at);
        slots_[at] = {hash, rule};
    }

    /// Lets the key that belongs to `before` lead to `after`.
    void replace(std::uint64_t hash, std::uint32_t before, std::uint32_t after) noexcept {
        std::size_t at = start_of(hash);
        while (slots_[at].hash != hash || slots_[at].rule != before) {
            ASSERT(slots_[at].rule != empty);
            at = next_of(at);
        }
        slots_[at].rule = after;
    }

  private:
    static constexpr std::uint32_t empty = UINT32_MAX;
    struct Slot {
        std::uint64_t hash = 0;
        std::uint32_t rule = empty;
    };
    std::size_t start_of(std::uint64_t hash) const noexcept { return hash & (slots_.size() - 1); }
    std::size_t next_of(std::size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }

    std::vector<Slot> slots_;
    std::size_t left_;
};

}  // namespace entrepot
