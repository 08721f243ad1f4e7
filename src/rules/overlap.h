#pragma once
// The sentences that refuse a rule because of others: one text each, whether a whole file is refused or a single change.

#include "entrepot/rules/cache_rule.h"

namespace entrepot {

/// `"hub" (docker.io/* => hub/*)`: source and target, as data flows and as `-s` and `-t` name them.
std::string mapping_of(const CacheRule& rule);
std::string same_target(const CacheRule& added, const CacheRule& other);
/// `inner` is a wildcard, or static where no overlap at all is allowed.
std::string lies_inside(const CacheRule& inner, const CacheRule& outer);
std::string too_many_rules(std::size_t count, std::size_t count_max, std::size_t ceiling);

}  // namespace entrepot
