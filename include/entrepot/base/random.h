#pragma once
// Randomness, a link-time seam like the clock: the kernel's generator seeds the server, a seed drives the simulator.

#include "entrepot/base/bytes.h"

#include <cstdint>

namespace entrepot {

/// 64 random bits; per-thread generator, not for keys.
std::uint64_t random_bits() noexcept;

/// Fills `key` with bits that nobody can guess: straight from the kernel, for keys and secrets that leave the process.
void random_key(MutableBytes key) noexcept;

/// Process-wide secret seed for tables keyed by what strangers send (hash flooding). Constant for the process.
std::uint64_t hash_seed() noexcept;

}  // namespace entrepot
