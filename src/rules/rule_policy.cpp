#include "entrepot/rules/rule_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {

std::string why_not_repository(const CacheRule& rule, std::string_view repository) {
    for (auto& pattern : rule.deny()) {
        if (pattern.matches(repository))
            return fmt::format("denies source repository '{}' by its pattern \"{}\"", repository, pattern.text());
    }
    if (rule.allow().empty() || any_matches(rule.allow(), repository)) return {};
    return fmt::format("does not allow source repository '{}': none of its allow patterns matches", repository);
}

std::string why_not_tag(const CacheRule& rule, std::string_view tag) {
    auto& filter = rule.text().tags;
    if (filter.admits(tag)) return {};
    return fmt::format("serves only {}, not '{}'", words_of(filter), tag);
}

std::string why_not_platform(const CacheRule& rule, const Platform& platform) {
    auto& served = rule.platforms();
    if (served.empty() || platform.unknown()) return {};
    if (std::any_of(served.begin(), served.end(), [&](auto& one) { return one.covers(platform); })) return {};
    std::string list;
    for (auto& one : served) list += (list.empty() ? "" : ", ") + one.text();
    return fmt::format("serves only platforms {}, not {}", list, platform.text());
}

std::string words_of(const TagFilter& filter) {
    if (!filter.equals.empty()) return fmt::format("the tag \"{}\"", filter.equals);
    std::string words;
    auto add = [&words](std::string_view verb, const std::string& text) {
        if (!text.empty()) words += fmt::format("{} {} \"{}\"", words.empty() ? "tags that" : " and", verb, text);
    };
    add("start with", filter.starts_with);
    add("end with", filter.ends_with);
    add("contain", filter.contains);
    return words.empty() ? "all tags" : words;
}

}  // namespace entrepot
