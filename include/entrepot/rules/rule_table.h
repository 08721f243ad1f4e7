#pragma once
// All cache rules, checked against each other and indexed for look-up. Immutable: a change builds another table, and shards
// are given the new one whole. Look-ups are pure, allocate nothing and take a hash per wildcard depth in use, whatever the
// number of rules (100,000 rules: see bench/rules_bench.cpp).
//
// Targets decide who may stand beside whom (sources never do, so one source may feed several targets):
//   two rules with one target             refused
//   a wildcard inside another wildcard    refused, whichever came first
//   a static rule inside a wildcard       allowed: exact beats wildcard (Options::strict_overlap refuses it)
// Hence for each path there is at most one static and one wildcard rule, and their order in the file means nothing.

#include "entrepot/oci/name.h"
#include "entrepot/rules/cache_rule.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

/// How a rule was found.
enum class RouteStyle : std::uint8_t {
    target,          ///< the path lies in the rule's target
    login_server,    ///< the rule's source covers `?ns=` and the path
    default_server,  ///< the same with the default login server (Docker's root style)
};

/// Where a requested repository comes from.
struct Route {
    const CacheRule* rule = nullptr;  ///< never null in a Route that find() returned; lives as long as the table
    std::uint32_t number = 0;         ///< its place in RuleTable::rules()
    RouteStyle style = RouteStyle::target;
    std::string_view login_server;  ///< of the rule
    std::string_view repository;    ///< upstream: a valid name; points into the path, the rule or the buffer
};

/// Room for one mapped repository name. Keep it as long as the Route.
using RouteBuffer = std::array<char, repository_bytes_max>;

/// Rules are parsed once and shared by all tables that hold them: a change builds a new table of the same rules but one.
using RuleList = std::vector<std::shared_ptr<const CacheRule>>;

/// Why a set of rules was refused.
struct RuleRefusal {
    std::size_t rule = 0;              ///< index of the rule to blame: the later one of two
    std::optional<std::size_t> other;  ///< index of the rule it conflicts with
    std::string message;               ///< names both, and says what to do
};

class RuleTable {
  public:
    struct Options {
        /// 1,000 rules are guaranteed on any machine; the configuration may lower or raise the bound up to rules_max_ceiling.
        std::size_t rules_max = 100'000;
        bool strict_overlap = false;                     ///< no overlap at all, not even static inside wildcard
        std::string default_login_server = "docker.io";  ///< owns the paths that no target covers
    };
    static constexpr std::size_t rules_max_ceiling = 1'000'000;

    static Result<RuleTable, RuleRefusal> build(std::vector<RuleText> rules, Options options);
    static Result<RuleTable, RuleRefusal> build(RuleList rules, Options options);

    RuleTable(RuleTable&&) noexcept;
    RuleTable& operator=(RuleTable&&) noexcept;
    ~RuleTable();

    /// The rule for a request of `repository` (valid) with `?ns=` (valid and in lower case, or empty):
    ///   with ns: a rule whose target covers the repository and whose source is on that login server, exact before wildcard
    ///     (BuildKit sends both the path of the target and ns); else the rule whose source covers ns/repository
    ///   without: the rule whose target covers it, exact before wildcard; else the rule whose source covers
    ///     default_login_server/repository
    /// Nothing when no rule allows it: `ns` alone never opens a way to a host. Sources may cover each other; the longest wins,
    /// of equals the one that maps one to one (target = source), then the first.
    /// Nothing either when the mapped name would be longer than a repository name may be.
    std::optional<Route> find(std::string_view repository, std::string_view ns, RouteBuffer& buffer) const noexcept;

    /// The two halves of find(), for `explain`.
    std::optional<Route> find_by_target(std::string_view repository, RouteBuffer& buffer) const noexcept;
    std::optional<Route> find_by_source(std::string_view login_server, std::string_view repository,
                                        RouteBuffer& buffer) const noexcept;

    /// Null when there is none of that name.
    const CacheRule* find_by_name(std::string_view name) const noexcept;

    /// In the order they were given.
    const RuleList& rules() const noexcept;
    const Options& options() const noexcept;

    /// Rules that are allowed and yet probably not what was meant, one sentence each; at most warnings_max of them.
    std::span<const std::string> warnings() const noexcept;
    static constexpr std::size_t warnings_max = 100;

  private:
    struct Index;
    explicit RuleTable(std::unique_ptr<Index> index) noexcept;
    std::unique_ptr<Index> index_;
};

}  // namespace entrepot
