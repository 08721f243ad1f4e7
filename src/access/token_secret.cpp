#include "entrepot/access/token_secret.h"

#include "entrepot/base/random.h"
#include "entrepot/base/sha256.h"
#include "entrepot/rules/account.h"

#include "access/base64_text.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>

namespace entrepot {

std::string make_token_secret() {
    std::array<std::byte, 32> bits;
    random_key(bits);
    auto secret = std::string(token_secret_prefix) + base64url_text(bits);
    ASSERT(secret.size() == token_secret_bytes);
    return secret;
}

bool looks_like_token_secret(std::string_view text) noexcept {
    return text.size() == token_secret_bytes && text.starts_with(token_secret_prefix);
}

std::string hash_token_secret(std::string_view secret) {
    Sha256 sum;
    sum.update(bytes_of(secret));
    auto digest = sum.finish();
    std::string hash = "sha256:";
    for (auto byte : digest) fmt::format_to(std::back_inserter(hash), "{:02x}", std::to_integer<unsigned>(byte));
    return hash;
}

bool verify_token_secret(std::string_view secret, std::string_view hash) {
    auto of_secret = hash_token_secret(secret);
    auto padded = std::string(hash);
    padded.resize(of_secret.size());
    return ::sodium_memcmp(of_secret.data(), padded.data(), of_secret.size()) == 0;
}

}  // namespace entrepot
