#include "rules/overlap.h"

#include <fmt/format.h>

namespace entrepot {

namespace {

// Of two rules that cannot stand side by side, one may be a default, which nobody wrote and nobody can delete.
std::string way_out(const CacheRule& first, const CacheRule& second, std::string_view otherwise) {
    const bool one_is_default = first.origin() == RuleOrigin::builtin || second.origin() == RuleOrigin::builtin;
    if (!one_is_default) return std::string(otherwise);
    return "one of the default rules, which stand until the configuration file has a [[cache_rule]] of its own or default_rules = false";
}

}  // namespace

std::string mapping_of(const CacheRule& rule) {
    return fmt::format("\"{}\" ({} => {})", rule.name(), rule.source(), rule.target());
}

std::string same_target(const CacheRule& added, const CacheRule& other) {
    const auto otherwise = fmt::format("give it another target, or delete \"{}\"", other.name());
    return fmt::format("cache rule {} has the same target as cache rule {}; {}", mapping_of(added), mapping_of(other),
                       way_out(added, other, otherwise));
}

std::string lies_inside(const CacheRule& inner, const CacheRule& outer) {
    const std::string_view advice =
        inner.wildcard()
            ? "wildcards must not overlap: choose another target for one of them, or name single repositories"
            : "strict_overlap allows no overlap at all: choose another target for one of them, or turn strict_overlap off";
    return fmt::format("cache rule {} lies inside the wildcard of cache rule {}; {}", mapping_of(inner), mapping_of(outer),
                       way_out(inner, outer, advice));
}

std::string too_many_rules(std::size_t count, std::size_t count_max, std::size_t ceiling) {
    return fmt::format("{} cache rules are more than the limit of {}; delete some, or raise rules_max (up to {})", count,
                       count_max, ceiling);
}

}  // namespace entrepot
