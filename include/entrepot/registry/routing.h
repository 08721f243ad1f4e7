#pragma once
// Rules, upstreams, credentials and accounts joined into one immutable snapshot: a repository of ours becomes a Source. Every shard holds the same snapshot; a change makes another one.

#include "entrepot/cache/source.h"
#include "entrepot/rules/account_table.h"
#include "entrepot/rules/rule_table.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

namespace entrepot {

class Routing {
  public:
    /// On the home loop of `upstreams`, which outlives the snapshot. The error names the rule whose upstream or credential set does not exist.
    static Result<std::shared_ptr<const Routing>, std::string> make(RuleTable rules, const UpstreamTable& upstreams,
                                                                    const Credentials& credentials,
                                                                    std::shared_ptr<const AccountTable> accounts);

    struct Found {
        const CacheRule* rule = nullptr;
        Source source;
        bool anonymous = true;  ///< everybody may pull through the rule
    };
    /// Nothing when no rule covers the repository.
    std::optional<Found> find(std::string_view repository, std::string_view ns) const;
    /// What rules beside the one that wins make of a repository upstream: each whose source covers it, at most `count_max`. For lists, where there is no path to go by.
    std::vector<Found> find_all_by_source(std::string_view login_server, std::string_view repository,
                                          std::size_t count_max) const;
    /// What the rule of that name asks upstream with, for a repository that its source covers. Linear in the rules.
    std::optional<Found> find_source(std::string_view rule, std::string_view upstream_repository) const;
    /// Rules that hold content of a repository upstream, or (`path` ends in '/') of any whose name begins so, by the rights of one of `scopes`. Linear in the rules.
    std::vector<const CacheRule*> find_holding(std::string_view login_server, std::string_view path,
                                               const std::set<std::string>& scopes) const;
    /// Of a login server that some rule is on; else null. Linear in the rules.
    const UpstreamSpec* find_upstream(std::string_view login_server) const noexcept;
    const RuleTable& rules() const noexcept { return rules_; }
    const std::shared_ptr<const AccountTable>& accounts() const noexcept { return accounts_; }
    /// Everybody may pull through every rule: nobody need say who he is.
    bool anonymous() const noexcept { return anonymous_; }

  private:
    struct Way {  // one per rule, in the table's order
        const UpstreamSpec* upstream;
        CredentialPointer credential;
        bool anonymous;
    };
    Routing(RuleTable rules, std::vector<Way> ways, std::shared_ptr<const AccountTable> accounts);
    Found found_by(std::size_t number, std::string_view repository) const;

    RuleTable rules_;
    std::vector<Way> ways_;
    std::shared_ptr<const AccountTable> accounts_;
    std::map<std::string_view, std::vector<std::size_t>>
        by_login_server_;  // rule numbers, when lists must tell one rule's repositories from another's
    bool anonymous_ = true;
};

/// Our name of an upstream's repository that the rule covers: its target with what the wildcard stands for. What account patterns are about, however the
/// client addressed it.
std::string target_repository(const CacheRule& rule, std::string_view source_repository);

}  // namespace entrepot
