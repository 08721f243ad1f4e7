#include "entrepot/base/random.h"

#include "world.h"

namespace entrepot {

std::uint64_t random_bits() noexcept { return sim::World::exists() ? sim::World::current().product_random.next() : 0; }

void random_key(MutableBytes key) noexcept {
    for (auto& byte : key) byte = static_cast<std::byte>(random_bits());
}

// Constant, because it may be read once and kept for the process, while a seed must replay alike alone and among others.
std::uint64_t hash_seed() noexcept { return 0x5eed'5eed'5eed'5eed; }

}  // namespace entrepot
