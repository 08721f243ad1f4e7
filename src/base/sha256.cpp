#include "entrepot/base/sha256.h"

#include "base/sha256_blocks.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

namespace entrepot {
namespace {

constexpr std::size_t block_bytes = 64;
constexpr std::size_t length_bytes = 8;  // of the bit length that ends the padding

// FIPS 180-4, 5.3.3.
constexpr Sha256State initial_state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

std::atomic<const Sha256Engine*> forced_engine{nullptr};

const Sha256Engine& best_engine() noexcept {
    const Sha256Engine* ni = sha256_engine_ni();
    return ni ? *ni : sha256_engine_mbedtls();
}

const Sha256Engine& engine_in_use() noexcept {
    const Sha256Engine* forced = forced_engine.load(std::memory_order_relaxed);
    if (forced) return *forced;
    static const Sha256Engine& best = best_engine();
    return best;
}

void put_big_endian(std::byte* out, std::uint32_t word) noexcept {
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap32(word);
    std::memcpy(out, &word, sizeof word);
}

}  // namespace

void force_sha256_engine(const Sha256Engine* engine) noexcept { forced_engine.store(engine, std::memory_order_relaxed); }

Sha256::Sha256() noexcept : state_(initial_state), block_{} {}

const char* Sha256::engine() noexcept { return engine_in_use().name; }

void Sha256::update(Bytes bytes) noexcept {
    if (bytes.empty()) return;
    const Sha256Engine& engine = engine_in_use();
    const std::size_t held = length_ % block_bytes;
    length_ += bytes.size();

    if (held > 0) {
        const std::size_t taken = std::min(block_bytes - held, bytes.size());
        std::memcpy(block_.data() + held, bytes.data(), taken);
        if (held + taken < block_bytes) return;
        engine.compress(state_, block_.data(), 1);
        bytes = bytes.subspan(taken);
    }
    const std::size_t whole = bytes.size() / block_bytes;
    engine.compress(state_, bytes.data(), whole);
    bytes = bytes.subspan(whole * block_bytes);
    if (!bytes.empty()) std::memcpy(block_.data(), bytes.data(), bytes.size());
}

std::array<std::byte, Sha256::digest_bytes> Sha256::finish() const noexcept {
    // Padding (FIPS 180-4, 5.1.1): a one bit, zeros, and the length in bits; it takes a second block when the tail leaves
    // no room for those nine bytes.
    std::array<std::byte, 2 * block_bytes> tail{};
    const std::size_t held = length_ % block_bytes;
    const std::size_t blocks = held + 1 + length_bytes <= block_bytes ? 1 : 2;
    std::memcpy(tail.data(), block_.data(), held);
    tail[held] = std::byte{0x80};
    const std::uint64_t bits = length_ * 8;
    std::byte* length_place = tail.data() + blocks * block_bytes - length_bytes;
    put_big_endian(length_place, static_cast<std::uint32_t>(bits >> 32));
    put_big_endian(length_place + 4, static_cast<std::uint32_t>(bits));

    Sha256State state = state_;
    engine_in_use().compress(state, tail.data(), blocks);
    std::array<std::byte, digest_bytes> digest;
    for (std::size_t i = 0; i < state.size(); ++i) put_big_endian(digest.data() + 4 * i, state[i]);
    return digest;
}

}  // namespace entrepot
