#include "entrepot/access/pull_decision.h"

#include <algorithm>

namespace entrepot {

bool may_pull(const RuleText& rule, std::string_view target, const Account* account) noexcept {
    if (rule.anonymous()) return true;
    return account && std::ranges::find(rule.pull, account->name) != rule.pull.end() && account->covers(target);
}

PullVerdict decide_pull(const RuleText* rule, std::string_view asked, std::string_view target, const Visitor& visitor) noexcept {
    if (rule && rule->anonymous()) return PullVerdict::allowed;
    if (rule && rule->pull.empty()) return PullVerdict::closed;
    if (!visitor.account) return PullVerdict::log_in;
    if (visitor.token && !visitor.token->names(asked)) return PullVerdict::other_scope;
    return rule && may_pull(*rule, target, visitor.account.get()) ? PullVerdict::allowed : PullVerdict::absent;
}

}  // namespace entrepot
