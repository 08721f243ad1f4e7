#pragma once
// Somebody who may pull what is not for everybody: a person with a password, or a machine with a token. What is kept of either is a hash, which
// no API answers and no log shows. A rule's `pull` names accounts; an account's own patterns narrow that further.

#include "entrepot/base/result.h"
#include "entrepot/rules/repository_pattern.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

enum class AccountKind : std::uint8_t {
    password,  ///< chosen by a person: hashed with a memory-hard function
    token,     ///< 256 random bits of ours, shown once: hashed once with SHA-256, since nobody guesses those
};
std::string_view name_of(AccountKind kind) noexcept;

struct Account {
    std::string name;
    AccountKind kind = AccountKind::password;
    std::string hash;                             ///< "$argon2id$..." or "sha256:<64 hexadecimal digits>"
    std::vector<RepositoryPattern> repositories;  ///< over target repositories; at least one
    std::int64_t created = 0;                     ///< wall seconds
    std::int64_t expires = 0;                     ///< wall seconds; 0: never

    bool expired(std::int64_t wall) const noexcept { return expires != 0 && wall >= expires; }
    bool covers(std::string_view target_repository) const noexcept { return any_matches(repositories, target_repository); }
    friend bool operator==(const Account&, const Account&) = default;
};

/// What an account's secret looks like when we made it; no password may begin so. Hence which of the two kinds somebody presents is seen from what he
/// presents, and how long the answer takes tells nothing of which accounts there are.
constexpr std::string_view token_secret_prefix = "ept_";
constexpr std::size_t token_secret_bytes = token_secret_prefix.size() + 43;  ///< then 256 bits in base64url without padding

constexpr std::size_t password_bytes_min = 8;
constexpr std::size_t password_bytes_max = 1024;
/// Empty when the password may be set, else a phrase that does not repeat it: "is shorter than 8 bytes".
std::string_view fault_of_password(std::string_view password) noexcept;

/// Everything that must hold of an account; empty when it does, else one sentence that names it.
std::string fault_of(const Account& account);

}  // namespace entrepot
