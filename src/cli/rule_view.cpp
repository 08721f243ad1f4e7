#include "cli/rule_view.h"

#include <algorithm>

namespace entrepot::cli {
namespace {

std::string credentials_of(const Json& rule) {
    const auto set = text_at(rule, "credentialSet");
    return set.empty() ? text_at(rule, "identity") : set;
}

Table table_of(const std::vector<Json>& rules) {
    Table table({"Name", "Source", "Target", "Credentials", "State", "Created"});
    for (const auto& rule : rules)
        table.add({text_at(rule, "name"), text_at(rule, "sourceRepository"), text_at(rule, "targetRepository"),
                   credentials_of(rule), text_at(rule, "provisioningState"), text_at(rule, "creationDate")});
    return table;
}

/// "network forever, denied never": the members of an object in the words of the command line.
std::string pairs_of(const Json& object) {
    constexpr std::pair<const char*, const char*> words[] = {
        {"serverError", "server error"}, {"rateLimit", "rate limit"}, {"startsWith", "starts with"}, {"endsWith", "ends with"}};
    std::string text;
    if (!object.is_object()) return text;
    for (const auto& [member, value] : object.items()) {
        const auto shown = scalar_text(value);
        if (shown.empty()) continue;
        const auto* word = std::find_if(std::begin(words), std::end(words), [&](auto& pair) { return member == pair.first; });
        if (!text.empty()) text += ", ";
        text += fmt::format("{} {}", word == std::end(words) ? member : word->second, shown);
    }
    return text;
}

std::string who_may_pull(const Json& rule) {
    const auto named = joined_at(rule, "pull");
    if (!named.empty()) return named;
    return credentials_of(rule).empty() ? "anonymous" : "nobody: say who with --pull";
}

Properties details_of(const Json& rule) {
    Properties properties;
    const auto either = [](std::string text, const char* otherwise) { return text.empty() ? std::string(otherwise) : text; };
    if (const auto problem = text_at(rule, "problem"); !problem.empty()) properties.add("Problem", problem);
    properties.add("Pull", who_may_pull(rule));
    properties.add("Tag TTL", text_at(rule, "tagTtl"));
    properties.add("Stale", pairs_of(at(rule, "stale")));
    properties.add("Tags", either(pairs_of(at(rule, "tags")), "all"));
    properties.add("Platforms", either(joined_at(rule, "platforms"), "all"));
    properties.add("Allow", either(joined_at(rule, "allow"), "all"));
    properties.add("Deny", either(joined_at(rule, "deny"), "none"));
    properties.add("Origin", text_at(rule, "origin"));
    return properties;
}

}  // namespace

const View& rule_view() {
    static constexpr View view{table_of, details_of};
    return view;
}

}  // namespace entrepot::cli
