#pragma once
// A credential set names the secrets with which we log in to one login server; it never holds one. Each pair is a user name and a
// password; when the first pair is refused, the second is tried, so that a password can be rotated without a gap.

#include "entrepot/rules/cache_rule.h"
#include "entrepot/rules/secret_reference.h"

#include <cstdint>
#include <optional>
#include <string>

namespace entrepot {

struct CredentialPair {
    SecretReference username, password;

    friend bool operator==(const CredentialPair&, const CredentialPair&) = default;
};

/// How a login was met by its registry or token server, or an identity by its authority: as pulls or a check found it last.
struct CredentialHealth {
    enum class Status : std::uint8_t { unknown, healthy, unhealthy };
    Status status = Status::unknown;
    std::string code;     ///< "Unauthorized", "Denied", "SecretUnreadable", "Unreachable"; empty when healthy, or never asked
    std::string message;  ///< one line for people, without secrets
    std::int64_t checked = 0;  ///< wall seconds; 0: never

    friend bool operator==(const CredentialHealth&, const CredentialHealth&) = default;
};

struct CredentialSet {
    std::string name;
    std::string login_server;  ///< canonical
    CredentialPair primary;
    std::optional<CredentialPair> secondary;
    RuleOrigin origin = RuleOrigin::file;
    std::int64_t created = 0;  ///< wall seconds; 0: unknown, as of sets from the file
    /// Whose rights the ledger's grants are. It stays while a pair of references stays, so that a password can be rotated by moving from one pair to the
    /// other; a set whose pairs all changed may be somebody else's, and inherits nothing. Never shown.
    std::string scope;

    friend bool operator==(const CredentialSet&, const CredentialSet&) = default;
};
constexpr std::size_t credential_sets_max = 10'000;

/// Of a set from the file: the same as long as its first pair is.
std::string scope_of_file(const CredentialSet& set);
/// Of a set made at run time, once it has become `after`; `before` is null when it is new, and `fresh` a number never used before.
std::string scope_after(const CredentialSet* before, const CredentialSet& after, std::uint64_t fresh);

/// Same pattern and lengths as rule names.
bool is_credential_set_name(std::string_view name, RuleOrigin origin) noexcept;

}  // namespace entrepot
