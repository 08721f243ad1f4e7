#pragma once
// Passwords as they are kept: argon2id (RFC 9106), in the PHC text form that other programs read and write.
//
// The hashing is libsodium's: maintained and audited, and it chooses SIMD at run time, where Debian's libargon2 is the portable reference code of 2017. Measured on one core of
// a server of 2026: 19 ms and 32 MiB a hash (libargon2: 41 ms). That is above OWASP's least (19 MiB, two passes) and lets the two threads of the lane check a hundred
// logins a second.
//
// Everything here takes that long and must run on Lane::password.

#include "entrepot/base/result.h"

#include <string>
#include <string_view>

namespace entrepot {

/// "$argon2id$v=19$m=32768,t=2,p=1$<salt>$<hash>", with a salt of its own. Fails with Fault::capacity Code::busy when the memory cannot be had.
Result<std::string> hash_password(std::string_view password);

/// Whether `password` is the one that was hashed. Takes the same time for each hash made with the same costs. Fails as hash_password does: that nobody could look is no wrong password.
Result<bool> verify_password(std::string_view password, const std::string& hash);

/// The hash of no password, of the usual costs: what somebody who is not known is checked against, so that it takes as long.
const std::string& hash_of_nobody() noexcept;

}  // namespace entrepot
