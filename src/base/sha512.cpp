#include "entrepot/base/sha512.h"

#include <mbedtls/version.h>

namespace entrepot {
namespace {

// The results exist for hardware drivers and a 384-bit mode that is not compiled in; the software SHA-512 cannot fail.
void start(mbedtls_sha512_context& context) noexcept {
#if MBEDTLS_VERSION_MAJOR >= 3
    [[maybe_unused]] const int failed = mbedtls_sha512_starts(&context, 0);
#else
    [[maybe_unused]] const int failed = mbedtls_sha512_starts_ret(&context, 0);
#endif
}

void add(mbedtls_sha512_context& context, Bytes bytes) noexcept {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
#if MBEDTLS_VERSION_MAJOR >= 3
    [[maybe_unused]] const int failed = mbedtls_sha512_update(&context, data, bytes.size());
#else
    [[maybe_unused]] const int failed = mbedtls_sha512_update_ret(&context, data, bytes.size());
#endif
}

void end(mbedtls_sha512_context& context, std::byte* digest) noexcept {
    auto* out = reinterpret_cast<unsigned char*>(digest);
#if MBEDTLS_VERSION_MAJOR >= 3
    [[maybe_unused]] const int failed = mbedtls_sha512_finish(&context, out);
#else
    [[maybe_unused]] const int failed = mbedtls_sha512_finish_ret(&context, out);
#endif
}

}  // namespace

Sha512::Sha512() noexcept {
    mbedtls_sha512_init(&context_);
    start(context_);
}

Sha512::Sha512(const Sha512& other) noexcept {
    mbedtls_sha512_init(&context_);
    mbedtls_sha512_clone(&context_, &other.context_);
}

Sha512& Sha512::operator=(const Sha512& other) noexcept {
    if (this != &other) mbedtls_sha512_clone(&context_, &other.context_);
    return *this;
}

Sha512::~Sha512() { mbedtls_sha512_free(&context_); }

void Sha512::update(Bytes bytes) noexcept {
    if (!bytes.empty()) add(context_, bytes);
}

std::array<std::byte, Sha512::digest_bytes> Sha512::finish() const noexcept {
    Sha512 fork = *this;  // mbedTLS ends the state it finishes, and ours goes on
    std::array<std::byte, digest_bytes> digest;
    end(fork.context_, digest.data());
    return digest;
}

}  // namespace entrepot
