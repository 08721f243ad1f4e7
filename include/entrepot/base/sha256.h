#pragma once
// Streaming SHA-256 (FIPS 180-4). The block function uses the CPU's SHA instructions where cpuid has them (leaf 7, EBX bit 29), else mbedTLS.
// A value: copy it to fork the state (a resumed fetch keeps hashing where it stopped). Never fails.

#include "entrepot/base/bytes.h"

#include <array>

namespace entrepot {

class Sha256 {
  public:
    static constexpr std::size_t digest_bytes = 32;

    Sha256() noexcept;
    void update(Bytes bytes) noexcept;
    /// The same as an update of each, in any lengths and wherever in a block each stands. With the CPU's instructions the blocks that both have are hashed
    /// side by side, in less time than one after the other. The two must be two; their bytes may overlap.
    static void update_pair(Sha256& one, Bytes bytes, Sha256& other, Bytes other_bytes) noexcept;
    /// The digest of everything so far; the state itself stays usable for more updates.
    std::array<std::byte, digest_bytes> finish() const noexcept;

    /// "sha-ni" or "mbedtls": which block function this process uses.
    static const char* engine() noexcept;

  private:
    Bytes complete_block(Bytes bytes) noexcept;

    std::array<std::uint32_t, 8> state_;
    std::array<std::byte, 64> block_;  // the tail that does not fill a block yet
    std::uint64_t length_ = 0;         // bytes hashed so far
};

}  // namespace entrepot
