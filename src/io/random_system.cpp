#include "entrepot/base/random.h"

#include "entrepot/base/assert.h"

#include <sys/random.h>

#include <random>

namespace entrepot {
namespace {

std::uint64_t from_kernel() noexcept {
    std::uint64_t bits = 0;
    auto filled = ::getrandom(&bits, sizeof bits, 0);
    ASSERT(filled == static_cast<ssize_t>(sizeof bits));
    return bits;
}

}  // namespace

std::uint64_t random_bits() noexcept {
    thread_local std::mt19937_64 generator(from_kernel());
    return generator();
}

void random_key(MutableBytes key) noexcept {
    // Up to 256 bytes come whole, once the kernel's generator was seeded (getrandom(2)).
    ASSERT(key.size() <= 256);
    auto filled = ::getrandom(key.data(), key.size(), 0);
    ASSERT(filled == static_cast<ssize_t>(key.size()));
}

std::uint64_t hash_seed() noexcept {
    static const std::uint64_t seed = from_kernel();
    return seed;
}

}  // namespace entrepot
