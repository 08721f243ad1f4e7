#include "base/sha256_blocks.h"

// mbedTLS 3 hides the members of its contexts behind this; in 2.28 they are public.
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <mbedtls/sha256.h>

#if defined(MBEDTLS_SHA256_ALT)
#error "this mbedTLS keeps its SHA-256 state elsewhere (MBEDTLS_SHA256_ALT)"
#endif

#include <cstring>

namespace entrepot {
namespace {

// Only the compression function is used, so that Sha256 stays one value whatever the engine.
void compress_mbedtls(Sha256State& state, const std::byte* data, std::size_t blocks) noexcept {
    mbedtls_sha256_context context;
    mbedtls_sha256_init(&context);
    static_assert(sizeof context.state == sizeof state);
    std::memcpy(context.state, state.data(), sizeof context.state);
    for (; blocks > 0; --blocks, data += 64) {
        // The software version has no way to fail; the result exists for hardware drivers.
        [[maybe_unused]] const int failed =
            mbedtls_internal_sha256_process(&context, reinterpret_cast<const unsigned char*>(data));
    }
    std::memcpy(state.data(), context.state, sizeof context.state);
    mbedtls_sha256_free(&context);
}

}  // namespace

const Sha256Engine& sha256_engine_mbedtls() noexcept {
    static constexpr Sha256Engine engine{"mbedtls", compress_mbedtls, nullptr};
    return engine;
}

}  // namespace entrepot
