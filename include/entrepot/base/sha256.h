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
    /// The digest of everything so far; the state itself stays usable for more updates.
    std::array<std::byte, digest_bytes> finish() const noexcept;

    /// "sha-ni" or "mbedtls": which block function this process uses.
    static const char* engine() noexcept;

  private:
    std::array<std::uint32_t, 8> state_;
    std::array<std::byte, 64> block_;  // the tail that does not fill a block yet
    std::uint64_t length_ = 0;         // bytes hashed so far
};

}  // namespace entrepot
