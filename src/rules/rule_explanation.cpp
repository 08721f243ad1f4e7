#include "entrepot/rules/rule_explanation.h"

#include "entrepot/base/log.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/known_registries.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

bool covers(bool wildcard, std::string_view side, std::string_view path) noexcept {
    return wildcard ? path.size() > side.size() && path.starts_with(side) : path == side;
}

/// What the request means besides the path: the login server that `ns`, or the lack of it, stands for, and the repository there.
struct Meaning {
    std::string_view path, ns;
    std::string login_server, repository;

    Meaning(const RuleTable& rules, std::string_view asked, std::string_view asked_ns)
        : path(asked), ns(canonical_login_server(asked_ns)),
          login_server(ns.empty() ? rules.options().default_login_server : ns) {
        bool official = login_server == "docker.io" && path.find('/') == std::string_view::npos;
        repository = (official ? "library/" : "") + std::string(path);
    }
    /// Docker Hub has no owner with a dot in its name.
    bool names_another_registry() const noexcept {
        return ns.empty() && login_server == "docker.io" && looks_like_login_server(path.substr(0, path.find('/')));
    }
    std::string source() const { return login_server + "/" + repository; }
};

std::string winner_reason(const CacheRule& rule, RouteStyle style, const Meaning& meaning) {
    switch (style) {
        case RouteStyle::target:
            if (!rule.wildcard()) return fmt::format("its target is exactly '{}'", meaning.path);
            return fmt::format("its target '{}' covers '{}', and no rule names just that repository", rule.target(),
                               meaning.path);
        case RouteStyle::login_server:
            return fmt::format("the request's ns says {}, no target covers '{}', and its source '{}' covers '{}'", meaning.ns,
                               meaning.path, rule.source(), meaning.source());
        case RouteStyle::default_server:
            return fmt::format(
                "no target covers '{}', which without ns means '{}' of the default login server, and its source '{}' covers it",
                meaning.path, meaning.source(), rule.source());
    }
    return {};
}

std::string loser_verdict(const CacheRule& rule, const Route* route, const Meaning& meaning) {
    bool by_target = covers(rule.wildcard(), rule.target_path(), meaning.path);
    if (by_target && !meaning.ns.empty() && rule.login_server() != meaning.ns)
        return fmt::format("its target covers the path, but its source is on {}, not on {} as ns says", rule.login_server(),
                           meaning.ns);
    if (by_target && route && route->style == RouteStyle::target)
        return fmt::format("its target covers the path, but '{}' names exactly this repository", route->rule->name());
    if (by_target) return "its target covers the path, but the name that it maps to is too long";
    if (meaning.names_another_registry())
        return "its source would cover it on the default login server, but the path names another registry";
    if (!route) return "its source covers it, but the name that it maps to is too long";
    if (route->style == RouteStyle::target)
        return fmt::format("its source covers '{}', but a target that covers the path goes first ('{}')", meaning.source(),
                           route->rule->name());
    if (route->rule->source().size() > rule.source().size())
        return fmt::format("its source covers '{}', but that of '{}' covers less besides", meaning.source(), route->rule->name());
    return fmt::format("its source is that of '{}', which {}", route->rule->name(),
                       route->rule->source() == route->rule->target() ? "maps one to one" : "stands first");
}

std::string nobody_reason(const Meaning& meaning) {
    if (meaning.names_another_registry())
        return fmt::format("no rule's target covers '{}', and it names another registry than the default one", meaning.path);
    return fmt::format("no rule's target covers '{}', and no rule's source covers '{}'", meaning.path, meaning.source());
}

}  // namespace

RuleExplanation explain_route(const RuleTable& rules, std::string_view repository, std::string_view ns) {
    RuleExplanation explanation;
    Meaning meaning(rules, repository, ns);
    RouteBuffer buffer;
    auto route = rules.find(repository, ns, buffer);
    if (route) {
        explanation.rule = route->rule;
        explanation.repository = route->repository;
        explanation.reason = winner_reason(*route->rule, route->style, meaning);
        explanation.considered.push_back({route->rule->name(), "wins: " + explanation.reason});
    } else {
        explanation.reason = nobody_reason(meaning);
    }
    for (auto& rule : rules.rules()) {
        bool by_target = covers(rule->wildcard(), rule->target_path(), meaning.path);
        bool by_source =
            rule->login_server() == meaning.login_server && covers(rule->wildcard(), rule->source_path(), meaning.repository);
        bool is_winner = route && route->rule == rule.get();
        if (is_winner || (!by_target && !by_source)) continue;
        if (explanation.considered.size() == RuleExplanation::considered_max) break;
        explanation.considered.push_back({rule->name(), loser_verdict(*rule, route ? &*route : nullptr, meaning)});
    }
    return explanation;
}

}  // namespace entrepot
