#include "entrepot/access/password.h"

#include "entrepot/base/bytes.h"
#include "entrepot/base/random.h"

#include "access/base64_text.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <cerrno>

namespace entrepot {
namespace {

constexpr std::size_t memory_kib = 32 * 1024;
constexpr unsigned passes = 2;
constexpr Error no_memory{Fault::capacity, Code::busy};

// Its one lane (p=1) is libsodium's choice.
std::string text_of_hash(Bytes salt, Bytes hash) {
    return fmt::format("$argon2id$v=19$m={},t={},p=1${}${}", memory_kib, passes, base64_text(salt), base64_text(hash));
}

void prepare_library() noexcept {
    // Chooses the SIMD code; what it prepares for its own randomness is not used.
    static const bool ready = ::sodium_init() >= 0;
    ASSERT(ready);
}

}  // namespace

Result<std::string> hash_password(std::string_view password) {
    prepare_library();
    std::array<std::byte, crypto_pwhash_SALTBYTES> salt;
    random_key(salt);
    std::array<std::byte, 32> hash;
    auto failed = ::crypto_pwhash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(), password.data(), password.size(),
                                  reinterpret_cast<const unsigned char*>(salt.data()), passes, memory_kib * 1024,
                                  crypto_pwhash_ALG_ARGON2ID13);
    if (failed) return no_memory;
    return text_of_hash(salt, hash);
}

Result<bool> verify_password(std::string_view password, const std::string& hash) {
    prepare_library();
    errno = 0;
    if (::crypto_pwhash_str_verify(hash.c_str(), password.data(), password.size()) == 0) return true;
    // The library answers -1 for both, and says ENOMEM when it was not the password.
    if (errno == ENOMEM) return no_memory;
    return false;
}

const std::string& hash_of_nobody() noexcept {
    // Which password gives 32 zero bytes is as hard to find as any.
    static const std::string hash = text_of_hash(std::array<std::byte, crypto_pwhash_SALTBYTES>{}, std::array<std::byte, 32>{});
    return hash;
}

}  // namespace entrepot
