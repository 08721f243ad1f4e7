#include "entrepot/base/sha256.h"

#include "entrepot/base/assert.h"

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

// Completes the block that an earlier update began, as far as `bytes` go, and yields what is left of them.
Bytes Sha256::complete_block(Bytes bytes) noexcept {
    const std::size_t held = length_ % block_bytes;
    if (held == 0 || bytes.empty()) return bytes;
    const std::size_t taken = std::min(block_bytes - held, bytes.size());
    std::memcpy(block_.data() + held, bytes.data(), taken);
    length_ += taken;
    if (held + taken == block_bytes) engine_in_use().compress(state_, block_.data(), 1);
    return bytes.subspan(taken);
}

void Sha256::update(Bytes bytes) noexcept {
    bytes = complete_block(bytes);
    if (bytes.empty()) return;
    const std::size_t whole = bytes.size() / block_bytes;
    engine_in_use().compress(state_, bytes.data(), whole);
    length_ += bytes.size();
    bytes = bytes.subspan(whole * block_bytes);
    if (!bytes.empty()) std::memcpy(block_.data(), bytes.data(), bytes.size());
}

void Sha256::update_pair(Sha256& one, Bytes bytes, Sha256& other, Bytes other_bytes) noexcept {
    ASSERT(&one != &other);
    if (const auto compress_pair = engine_in_use().compress_pair) {
        bytes = one.complete_block(bytes);
        other_bytes = other.complete_block(other_bytes);
        // Whoever still has bytes stands at the start of a block.
        const std::size_t blocks = std::min(bytes.size(), other_bytes.size()) / block_bytes;
        const std::size_t shared = blocks * block_bytes;
        compress_pair({one.state_, bytes.data()}, {other.state_, other_bytes.data()}, blocks);
        one.length_ += shared;
        other.length_ += shared;
        bytes = bytes.subspan(shared);
        other_bytes = other_bytes.subspan(shared);
    }
    one.update(bytes);
    other.update(other_bytes);
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
