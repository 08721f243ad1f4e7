#include "entrepot/rules/rule_book.h"

#include "entrepot/base/assert.h"
#include "rules/overlap.h"

#include <fmt/format.h>

namespace entrepot {

std::shared_ptr<const CacheRule> RuleBook::find(std::string_view name) const {
    const auto place = places_.find(name);
    return place == places_.end() ? nullptr : by_place_.find({place->second, name})->second;
}

// The wildcard, other than itself, in whose target the rule's target lies. Wildcards do not overlap, so there is one at most.
const CacheRule* RuleBook::wildcard_around(const CacheRule& rule) const {
    std::string_view path = rule.target_path();
    if (path.empty()) return nullptr;
    if (rule.wildcard()) path.remove_suffix(1);
    for (std::size_t slash = path.rfind('/');; slash = slash == 0 ? std::string_view::npos : path.rfind('/', slash - 1)) {
        const auto prefix = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
        if (const auto found = wildcards_.find(prefix); found != wildcards_.end()) return found->second;
        if (slash == std::string_view::npos) return nullptr;
    }
}

const CacheRule* RuleBook::first_inside(const ByPath& rules, const CacheRule& outer) {
    auto found = rules.lower_bound(outer.target_path());
    if (found != rules.end() && found->first == outer.target_path()) ++found;
    return found != rules.end() && found->first.starts_with(outer.target_path()) ? found->second : nullptr;
}

std::optional<RuleBook::Conflict> RuleBook::conflict_of(const CacheRule& rule) const {
    if (const auto other = find(rule.name()))
        return Conflict{Conflict::Kind::name_taken,
                        fmt::format("there is a cache rule {} already; choose another name, or replace it", mapping_of(*other))};
    if (size() >= options_.rules_max)
        return Conflict{Conflict::Kind::too_many, too_many_rules(size() + 1, options_.rules_max, RuleTable::rules_max_ceiling)};
    const ByPath& same_kind = rule.wildcard() ? wildcards_ : statics_;
    if (const auto other = same_kind.find(rule.target_path()); other != same_kind.end())
        return Conflict{Conflict::Kind::target_taken, same_target(rule, *other->second)};
    if (rule.wildcard() || options_.strict_overlap) {
        if (const auto* outer = wildcard_around(rule)) return Conflict{Conflict::Kind::overlap, lies_inside(rule, *outer)};
    }
    if (!rule.wildcard()) return std::nullopt;
    const auto* inner = first_inside(wildcards_, rule);
    if (!inner && options_.strict_overlap) inner = first_inside(statics_, rule);
    if (!inner) return std::nullopt;
    return Conflict{Conflict::Kind::overlap, lies_inside(*inner, rule)};
}

void RuleBook::add(std::shared_ptr<const CacheRule> rule, std::uint32_t place) {
    ASSERT(!places_.contains(rule->name()));
    const CacheRule* const added = rule.get();
    const auto fresh = (added->wildcard() ? wildcards_ : statics_).emplace(added->target_path(), added).second;
    ASSERT(fresh);
    places_.emplace(added->name(), place);
    by_source_.emplace(added->source(), added);
    by_place_.emplace(Place(place, added->name()), std::move(rule));
}

std::optional<std::uint32_t> RuleBook::remove(std::string_view name) {
    const auto found = places_.find(name);
    if (found == places_.end()) return std::nullopt;
    const std::uint32_t place = found->second;
    const auto entry = by_place_.find({place, name});
    const auto rule = entry->second;  // every key is a view into it
    (rule->wildcard() ? wildcards_ : statics_).erase(rule->target_path());
    const auto [first, last] = by_source_.equal_range(rule->source());
    for (auto at = first; at != last; ++at) {
        if (at->second != rule.get()) continue;
        by_source_.erase(at);
        break;
    }
    places_.erase(found);
    by_place_.erase(entry);
    return place;
}

RuleList RuleBook::list() const {
    RuleList rules;
    rules.reserve(by_place_.size());
    for (const auto& [place, rule] : by_place_) rules.push_back(rule);
    return rules;
}

std::vector<const RuleText*> RuleBook::after(std::string_view name, std::size_t count_max) const {
    std::vector<const RuleText*> found;
    for (auto at = places_.upper_bound(name); at != places_.end() && found.size() < count_max; ++at)
        found.push_back(&by_place_.find({at->second, at->first})->second->text());
    return found;
}

std::vector<std::string> RuleBook::notes_about(const CacheRule& rule) const {
    std::vector<std::string> notes;
    if (!rule.wildcard()) {
        if (const auto* outer = wildcard_around(rule))
            notes.push_back(fmt::format("is an exception inside the wildcard of cache rule {}: for {} it wins",
                                        mapping_of(*outer), rule.target()));
    } else {
        for (auto inner = statics_.lower_bound(rule.target_path());
             inner != statics_.end() && inner->first.starts_with(rule.target_path()) && notes.size() < notes_max; ++inner)
            notes.push_back(
                fmt::format("has an exception inside: cache rule {} wins for its target", mapping_of(*inner->second)));
    }
    const auto [first, last] = by_source_.equal_range(rule.source());
    for (auto other = first; other != last && notes.size() < notes_max; ++other) {
        if (other->second->name() != rule.name())
            notes.push_back(
                fmt::format("has the same source as cache rule {}; each has its own target", mapping_of(*other->second)));
    }
    return notes;
}

}  // namespace entrepot
