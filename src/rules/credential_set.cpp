#include "entrepot/rules/credential_set.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace entrepot {

namespace {

bool share_a_pair(const CredentialSet& a, const CredentialSet& b) noexcept {
    const auto has = [](const CredentialSet& set, const CredentialPair& pair) {
        return set.primary == pair || (set.secondary && *set.secondary == pair);
    };
    return has(b, a.primary) || (a.secondary && has(b, *a.secondary));
}

}  // namespace

std::string scope_of_file(const CredentialSet& set) {
    const auto text = fmt::format("{}\n{}\n{}", set.login_server, set.primary.username.text(), set.primary.password.text());
    return fmt::format("{}@{:016x}", set.name, XXH3_64bits(text.data(), text.size()));
}

std::string scope_after(const CredentialSet* before, const CredentialSet& after, std::uint64_t fresh) {
    const bool same_rights = before && before->login_server == after.login_server && share_a_pair(*before, after);
    return same_rights ? before->scope : fmt::format("{}#{:016x}", after.name, fresh);
}

bool is_credential_set_name(std::string_view name, RuleOrigin origin) noexcept { return is_rule_name(name, origin); }

}  // namespace entrepot
