#pragma once
// Which rule a request falls under, in words: who wins and why, and what each other rule that covers it lacks. Pure; looks at every rule, so it is for operators' questions,
// not for requests.

#include "entrepot/rules/rule_table.h"

#include <string>
#include <vector>

namespace entrepot {

struct ConsideredRule {
    std::string rule, verdict;
};

struct RuleExplanation {
    static constexpr std::size_t considered_max = 100;

    const CacheRule* rule = nullptr;  ///< null: none; lives as long as the table
    std::string repository;           ///< upstream
    std::string reason;               ///< a sentence
    std::vector<ConsideredRule> considered;
};

/// As RuleTable::find() decides.
RuleExplanation explain_route(const RuleTable& rules, std::string_view repository, std::string_view ns);

}  // namespace entrepot
