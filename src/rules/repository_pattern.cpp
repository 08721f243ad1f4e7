#include "entrepot/rules/repository_pattern.h"

#include "entrepot/base/log.h"
#include "entrepot/oci/name.h"

#include <algorithm>
#include <optional>

namespace entrepot {
namespace {

constexpr std::string_view one = "*", any = "**";

/// Takes the first component off `rest`; nothing is left of it after the last.
std::string_view take_component(std::optional<std::string_view>& rest) noexcept {
    auto slash = rest->find('/');
    auto component = rest->substr(0, slash);
    if (slash == std::string_view::npos) rest.reset();
    else rest->remove_prefix(slash + 1);
    return component;
}

/// Empty when the component is sound, else a phrase about the whole pattern.
std::string_view fault_of(std::string_view component) noexcept {
    if (component.empty()) return "has an empty component";
    if (component == one || component == any) return "";
    if (component.find('*') != std::string_view::npos)
        return "has a '*' beside other characters; it stands for whole components only";
    auto capital = [](char letter) { return letter >= 'A' && letter <= 'Z'; };
    if (std::any_of(component.begin(), component.end(), capital))
        return "has capital letters, which repository names do not have";
    return is_repository(component) ? "" : "is not made of repository name components";
}

}  // namespace

Result<RepositoryPattern, std::string> RepositoryPattern::parse(std::string_view text) {
    if (text.empty()) return std::string("is empty; write \"**\" for every repository");
    if (text.size() > repository_pattern_bytes_max) return std::string("is longer than 255 bytes");
    for (std::optional<std::string_view> rest = text; rest;) {
        if (auto fault = fault_of(take_component(rest)); !fault.empty()) return std::string(fault);
    }
    return RepositoryPattern(text);
}

bool RepositoryPattern::matches(std::string_view repository) const noexcept {
    std::optional<std::string_view> pattern = text_, path = repository;
    // Where to try again when what follows the last `**` did not fit: it takes one component more then. An earlier `**` need not give way, since the later one can take all
    // that the earlier would.
    std::optional<std::string_view> pattern_again, path_again;
    while (path) {
        auto component = pattern ? take_component(pattern) : std::string_view();
        if (component == any) {
            pattern_again = pattern;
            path_again = path;
            if (!pattern) return true;
            continue;
        }
        auto path_component = take_component(path);
        if (component == path_component || component == one) continue;
        if (!path_again) return false;
        (void)take_component(path_again);
        path = path_again;
        pattern = pattern_again;
    }
    while (pattern) {
        if (take_component(pattern) != any) return false;
    }
    return true;
}

bool any_matches(const std::vector<RepositoryPattern>& patterns, std::string_view repository) noexcept {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const RepositoryPattern& pattern) { return pattern.matches(repository); });
}

Result<std::vector<RepositoryPattern>, std::string> parse_repository_patterns(const std::vector<std::string>& texts) {
    if (texts.size() > repository_patterns_max) return fmt::format("there are more than {} patterns", repository_patterns_max);
    std::vector<RepositoryPattern> patterns;
    patterns.reserve(texts.size());
    for (auto& text : texts) {
        auto pattern = RepositoryPattern::parse(text);
        if (!pattern) return fmt::format("\"{}\" {}", escaped(text, 300), pattern.error());
        patterns.push_back(*std::move(pattern));
    }
    return patterns;
}

}  // namespace entrepot
