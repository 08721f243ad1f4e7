#pragma once
// The compression function of SHA-256 (FIPS 180-4, 6.2.2) over whole runs of blocks: once per engine, and the choice
// between them. Inside of Sha256; tests and benchmarks reach in to force an engine.

#include <array>
#include <cstddef>
#include <cstdint>

namespace entrepot {

using Sha256State = std::array<std::uint32_t, 8>;

/// Compresses `blocks` (any number, also none) consecutive blocks of 64 bytes, aligned or not, into `state`.
using Sha256Blocks = void (*)(Sha256State& state, const std::byte* data, std::size_t blocks) noexcept;

/// A state and the blocks that go into it.
struct Sha256Run {
    Sha256State& state;
    const std::byte* data;
};

/// Compresses `blocks` blocks of each of two streams side by side. The states are two, the data may be one.
using Sha256PairedBlocks = void (*)(Sha256Run one, Sha256Run other, std::size_t blocks) noexcept;

struct Sha256Engine {
    const char* name;
    Sha256Blocks compress;
    Sha256PairedBlocks compress_pair;  ///< nullptr where two at once take as long as one after the other
};

/// The engine with the CPU's SHA instructions, or nullptr where the CPU or the architecture has none.
const Sha256Engine* sha256_engine_ni() noexcept;
/// mbedTLS; runs everywhere.
const Sha256Engine& sha256_engine_mbedtls() noexcept;

/// Makes every Sha256 of this process use `engine` from now on; nullptr returns to the best one. States move freely
/// between engines. For tests and benchmarks: the server keeps what cpuid chose.
void force_sha256_engine(const Sha256Engine* engine) noexcept;

}  // namespace entrepot
