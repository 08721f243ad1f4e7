#pragma once
// Streaming SHA-512 by mbedTLS. Same promises as Sha256.

#include "entrepot/base/bytes.h"

#include <mbedtls/sha512.h>

#include <array>

namespace entrepot {

class Sha512 {
  public:
    static constexpr std::size_t digest_bytes = 64;

    Sha512() noexcept;
    Sha512(const Sha512& other) noexcept;
    Sha512& operator=(const Sha512& other) noexcept;
    ~Sha512();
    void update(Bytes bytes) noexcept;
    std::array<std::byte, digest_bytes> finish() const noexcept;

  private:
    mbedtls_sha512_context context_;
};

}  // namespace entrepot
