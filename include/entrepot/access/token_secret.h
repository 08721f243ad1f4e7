#pragma once
// The secrets of accounts of kind token: made here, shown once, kept as SHA-256. No salt and no slowness: nobody finds 256 random bits by trying.

#include <string>
#include <string_view>

namespace entrepot {

/// "ept_" and 256 random bits in base64url.
std::string make_token_secret();
bool looks_like_token_secret(std::string_view text) noexcept;

/// "sha256:<64 hexadecimal digits>".
std::string hash_token_secret(std::string_view secret);
/// In the same time for every hash, also for one that is no token's.
bool verify_token_secret(std::string_view secret, std::string_view hash);

}  // namespace entrepot
