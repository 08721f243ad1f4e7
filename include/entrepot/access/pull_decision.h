#pragma once
// May this visitor pull this repository? Decided from the rule and the account alone, before anybody looks at the store, so that what is stored and what is not give the
// same answer in the same time. To those who may not, a repository that is another's is one that does not exist.

#include "entrepot/access/doorkeeper.h"
#include "entrepot/rules/cache_rule.h"

#include <string_view>

namespace entrepot {

enum class PullVerdict : std::uint8_t {
    allowed,
    log_in,       ///< 401: whoever has shown nothing, or a token for anybody
    other_scope,  ///< 401: his token is not for this repository; he should fetch one that is
    absent,       ///< 404: no rule, or not for him
    closed,       ///< 403: the rule has credentials and nobody has said who may use them
};

/// `rule` is null when none covers the repository. `asked` is the repository as the client names it, `target` the same as the rule's target names it (with `?ns=` the two differ).
/// `visitor` is known or nobody.
PullVerdict decide_pull(const RuleText* rule, std::string_view asked, std::string_view target, const Visitor& visitor) noexcept;

/// Whether the account may pull `target` through the rule, whatever it showed. `account` null: anybody.
bool may_pull(const RuleText& rule, std::string_view target, const Account* account) noexcept;

}  // namespace entrepot
