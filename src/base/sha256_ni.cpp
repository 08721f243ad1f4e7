#include "base/sha256_blocks.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

namespace entrepot {
namespace {

// FIPS 180-4, 4.2.2.
alignas(64) constexpr std::array<std::uint32_t, 64> round_constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

bool cpu_has_sha_instructions() noexcept {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return false;
    if (!(ecx & bit_SSSE3) || !(ecx & bit_SSE4_1)) return false;  // pshufb, palignr and pblendw stand around them
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
    return ebx & bit_SHA;
}

#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))

// The instructions keep the eight working variables as two vectors, highest lane first: a b e f and c d g h.
struct Halves {
    __m128i abef;
    __m128i cdgh;
};

SHA_TARGET inline Halves load_state(const Sha256State& state) noexcept {
    const auto* words = reinterpret_cast<const __m128i*>(state.data());
    const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1b);
    return {_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0)};
}

SHA_TARGET inline void store_state(Sha256State& state, Halves halves) noexcept {
    auto* words = reinterpret_cast<__m128i*>(state.data());
    const __m128i abef = _mm_shuffle_epi32(halves.abef, 0x1b);
    const __m128i ghcd = _mm_shuffle_epi32(halves.cdgh, 0xb1);
    _mm_storeu_si128(words, _mm_blend_epi16(abef, ghcd, 0xf0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(ghcd, abef, 8));
}

// Four rounds. Each sha256rnds2 does two and yields the next a b e f; what was a b e f becomes c d g h by renaming.
SHA_TARGET inline void four_rounds(Halves& halves, __m128i words_and_constants) noexcept {
    halves.cdgh = _mm_sha256rnds2_epu32(halves.cdgh, halves.abef, words_and_constants);
    halves.abef = _mm_sha256rnds2_epu32(halves.abef, halves.cdgh, _mm_shuffle_epi32(words_and_constants, 0x0e));
}

// The message schedule: W[t .. t+3] from the sixteen words before it, four in each vector, oldest first.
SHA_TARGET inline __m128i next_words(__m128i w0, __m128i w1, __m128i w2, __m128i w3) noexcept {
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

// A block on its way: sixteen words of the message schedule, four in each vector.
struct Schedule {
    __m128i words[4];
};

SHA_TARGET inline Schedule load_block(const std::byte* data) noexcept {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    Schedule block;
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
        block.words[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i), big_endian);
    return block;
}

// One of the sixteen groups of four rounds, and the words that the group four later needs.
SHA_TARGET inline void run_group(Halves& halves, Schedule& block, int group) noexcept {
    auto& words = block.words;
    __m128i& oldest = words[group % 4];
    four_rounds(halves, _mm_add_epi32(oldest, _mm_load_si128(reinterpret_cast<const __m128i*>(round_constants.data()) + group)));
    if (group < 12) oldest = next_words(oldest, words[(group + 1) % 4], words[(group + 2) % 4], words[(group + 3) % 4]);
}

SHA_TARGET inline void add(Halves& halves, Halves before) noexcept {
    halves.abef = _mm_add_epi32(halves.abef, before.abef);
    halves.cdgh = _mm_add_epi32(halves.cdgh, before.cdgh);
}

// The speed is that of a chain of 32 sha256rnds2 a block, so everything else only has to stay out of its way: the loops
// must unroll completely to keep the schedule in registers, and a run of blocks never stores the state in between.
SHA_TARGET void compress_ni(Sha256State& state, const std::byte* data, std::size_t blocks) noexcept {
    Halves halves = load_state(state);
    for (; blocks > 0; --blocks, data += 64) {
        const Halves before = halves;
        Schedule block = load_block(data);
#pragma GCC unroll 16
        for (int group = 0; group < 16; ++group) run_group(halves, block, group);
        add(halves, before);
    }
    store_state(state, halves);
}

// Two chains in turn: while one waits for its sha256rnds2 the other one's runs. Then their number counts and no longer how long each takes.
SHA_TARGET void compress_pair_ni(Sha256Run one, Sha256Run other, std::size_t blocks) noexcept {
    Halves halves = load_state(one.state), other_halves = load_state(other.state);
    for (; blocks > 0; --blocks, one.data += 64, other.data += 64) {
        const Halves before = halves, other_before = other_halves;
        Schedule block = load_block(one.data), other_block = load_block(other.data);
#pragma GCC unroll 16
        for (int group = 0; group < 16; ++group) {
            run_group(halves, block, group);
            run_group(other_halves, other_block, group);
        }
        add(halves, before);
        add(other_halves, other_before);
    }
    store_state(one.state, halves);
    store_state(other.state, other_halves);
}

#undef SHA_TARGET

}  // namespace

const Sha256Engine* sha256_engine_ni() noexcept {
    static constexpr Sha256Engine engine{"sha-ni", compress_ni, compress_pair_ni};
    static const bool usable = cpu_has_sha_instructions();
    return usable ? &engine : nullptr;
}

}  // namespace entrepot

#else

namespace entrepot {
const Sha256Engine* sha256_engine_ni() noexcept { return nullptr; }
}  // namespace entrepot

#endif
