#pragma once
// Rules, upstreams and credentials joined into one immutable snapshot: a repository of ours becomes a Source. Every shard holds the same snapshot; a change makes another one.

#include "entrepot/cache/source.h"
#include "entrepot/rules/rule_table.h"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace entrepot {

class Routing {
  public:
    /// On the home loop of `upstreams`, which outlives the snapshot. The error names the rule whose upstream or credential set does not exist.
    static Result<std::shared_ptr<const Routing>, std::string> make(RuleTable rules, const UpstreamTable& upstreams,
                                                                    const Credentials& credentials);

    struct Found {
        const CacheRule* rule = nullptr;
        Source source;
    };
    /// Nothing when no rule covers the repository.
    std::optional<Found> find(std::string_view repository, std::string_view ns) const;
    const RuleTable& rules() const noexcept { return rules_; }

  private:
    struct Way {  // one per rule, in the table's order
        const UpstreamSpec* upstream;
        CredentialPointer credential;
    };
    Routing(RuleTable rules, std::vector<Way> ways) noexcept : rules_(std::move(rules)), ways_(std::move(ways)) {}

    RuleTable rules_;
    std::vector<Way> ways_;
};

}  // namespace entrepot
