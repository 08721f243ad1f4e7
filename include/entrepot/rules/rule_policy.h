#pragma once
// What a rule serves of the repositories that it covers: patterns over source repositories, a filter over tags, platforms. Pure; decided before any upstream is asked.
// A reason is a phrase that follows the rule's name: "cache rule 'hub' <reason>".

#include "entrepot/rules/cache_rule.h"
#include "entrepot/rules/platform.h"

#include <string>
#include <string_view>

namespace entrepot {

/// Why the rule does not serve this repository of its login server ("library/alpine"); empty when it does.
std::string why_not_repository(const CacheRule& rule, std::string_view repository);
/// Why it does not serve this tag; empty when it does. Digests are never asked about.
std::string why_not_tag(const CacheRule& rule, std::string_view tag);
/// Why it does not serve an image of this platform; empty when it does. What nobody knows the platform of is served: it is no image of another one.
std::string why_not_platform(const CacheRule& rule, const Platform& platform);

/// The filter in words: `tags that start with "v" and end with "-slim"`; "all tags" when it is empty.
std::string words_of(const TagFilter& filter);

}  // namespace entrepot
