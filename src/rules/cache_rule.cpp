#include "entrepot/rules/cache_rule.h"

#include "entrepot/base/log.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/identity_reference.h"
#include "entrepot/rules/known_registries.h"

#include <algorithm>

namespace entrepot {

namespace {

constexpr std::size_t api_name_bytes_min = 5;
constexpr std::size_t platform_bytes_max = 100, account_name_bytes_max = 128;
constexpr std::string_view official_prefix = "library/";         // where Docker Hub keeps the images that people call by one word
constexpr Duration tag_ttl_max = std::chrono::hours(24) * 3650;  // keeps deadlines far from the end of 64 bits

// The sentence that refuses one rule: `cache rule "hub": source "docker.io" names no repository; write ...`.
std::string complaint(const RuleText& rule, std::string_view side, std::string_view text, std::string_view reason) {
    return fmt::format("cache rule \"{}\": {} \"{}\" {}", escaped(rule.name), side, escaped(text, 300), reason);
}

bool has_capitals(std::string_view text) noexcept {
    return std::any_of(text.begin(), text.end(), [](char letter) { return letter >= 'A' && letter <= 'Z'; });
}

// A repository, or a prefix and the wildcard. Empty when the path is sound, else what is wrong with it.
std::string_view fault_of_path(std::string_view path) noexcept {
    if (path.empty()) return "names no repository; end it with \"/*\" to cover all of them";
    if (has_capitals(path)) return "has capital letters, which repository names do not have";
    if (path.find_first_of(":@") != std::string_view::npos)
        return "names a tag, a digest or a port; a rule covers whole repositories";
    const std::size_t star = path.find('*');
    if (star == std::string_view::npos) return is_repository(path) ? "" : "is not a valid repository name";
    const bool last_component = star == path.size() - 1 && (star == 0 || path[star - 1] == '/');
    if (!last_component) return "has a '*' that is not the last path component; no other place is possible";
    if (star == 0) return "";
    if (star > repository_bytes_max - 1) return "leaves no room for a repository name under it";
    return is_repository(path.substr(0, star - 1)) ? "" : "is not a valid repository name";
}

std::string_view fault_of_login_server(std::string_view login_server) noexcept {
    if (!looks_like_login_server(login_server))
        return "does not start with a login server, like \"docker.io/\"; without one it could mean any registry";
    if (has_capitals(login_server)) return "has capital letters; write the login server in lower case";
    return is_login_server(login_server) ? "" : "does not start with a valid login server (host or host:port)";
}

bool is_official(std::string_view login_server, std::string_view path) noexcept {
    return canonical_login_server(login_server) == "docker.io" && path.find_first_of("/*") == std::string_view::npos;
}

bool is_tag_text(std::string_view text) noexcept {
    return text.size() <= tag_bytes_max && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// The first of `entries` that `sound` refuses, as a sentence; empty when there is none.
std::string complaint_about_list(const RuleText& rule, std::string_view list, const std::vector<std::string>& entries,
                                 std::size_t count_max, bool (*sound)(std::string_view) noexcept, std::string_view wanted) {
    if (entries.size() > count_max)
        return fmt::format("cache rule \"{}\": {} has more than {} entries", rule.name, list, count_max);
    for (const std::string& entry : entries) {
        if (!sound(entry)) return complaint(rule, list, entry, wanted);
    }
    return {};
}

std::string complaint_about_tags(const RuleText& rule) {
    const TagFilter& tags = rule.tags;
    for (const auto* text : {&tags.equals, &tags.starts_with, &tags.ends_with, &tags.contains}) {
        if (!is_tag_text(*text)) return complaint(rule, "tag filter", *text, "could be part of no tag");
    }
    const bool others = !tags.starts_with.empty() || !tags.ends_with.empty() || !tags.contains.empty();
    if (!tags.equals.empty() && others)
        return fmt::format("cache rule \"{}\": a filter that names one tag needs no other; leave out \"equals\" or the rest",
                           rule.name);
    return {};
}

std::string complaint_about_pullers(const RuleText& rule) {
    const auto& pull = rule.pull;
    if (pull.size() > 1 && std::find(pull.begin(), pull.end(), anonymous_puller) != pull.end())
        return fmt::format("cache rule \"{}\": pull names \"anonymous\", everybody, beside others; leave one or the other out",
                           rule.name);
    return complaint_about_list(rule, "pull", pull, rule_pullers_max, is_account_name, "is no account name");
}

// A pattern that no repository of the source can match: who wrote it believes that it allows or, worse, denies something. "" when it may match.
std::string fault_of_reach(std::string_view pattern, std::string_view written_server) {
    const auto login_server = canonical_login_server(written_server);
    const auto first = pattern.substr(0, pattern.find('/'));
    if (first == login_server || first == written_server)
        return fmt::format("names the login server, of which paths have nothing; write \"{}\"",
                           first.size() + 1 < pattern.size() ? pattern.substr(first.size() + 1) : "**");
    if (login_server != "docker.io" || first.size() != pattern.size() || first == "**") return {};
    return fmt::format("matches nothing on Docker Hub, where every path has two parts; write \"{}{}\"", official_prefix, pattern);
}

std::string complaint_about_patterns(const RuleText& rule, std::string_view list, const std::vector<std::string>& entries) {
    if (entries.size() > rule_patterns_max)
        return fmt::format("cache rule \"{}\": {} has more than {} entries", rule.name, list, rule_patterns_max);
    const auto login_server = std::string_view(rule.source).substr(0, rule.source.find('/'));
    for (const std::string& entry : entries) {
        if (const auto pattern = RepositoryPattern::parse(entry); !pattern) return complaint(rule, list, entry, pattern.error());
        if (const auto fault = fault_of_reach(entry, login_server); !fault.empty()) return complaint(rule, list, entry, fault);
    }
    return {};
}

// What a rule asks for besides the mapping.
std::string complaint_about_policies(const RuleText& rule) {
    if (rule.tag_ttl < Duration::zero() || rule.tag_ttl > tag_ttl_max)
        return fmt::format("cache rule \"{}\": tag_ttl must be between 0s and 3650d", rule.name);
    if (!rule.credential_set.empty() && !rule.identity.empty())
        return fmt::format("cache rule \"{}\": it can use a credential set or an identity, not both", rule.name);
    if (!rule.identity.empty()) {
        const auto identity = parse_identity_reference(rule.identity);
        if (!identity) return fmt::format("cache rule \"{}\": identity {}", rule.name, identity.error());
    }
    if (auto found = complaint_about_tags(rule); !found.empty()) return found;
    const auto platforms = complaint_about_list(rule, "platform", rule.platforms, rule_platforms_max, is_platform,
                                                "is no platform like linux/amd64 or linux/arm64/v8");
    if (!platforms.empty()) return platforms;
    for (const auto& [list, entries] : {std::pair("allow", &rule.allow), std::pair("deny", &rule.deny)}) {
        if (auto found = complaint_about_patterns(rule, list, *entries); !found.empty()) return found;
    }
    return complaint_about_pullers(rule);
}

// Everything that parse() demands; empty when the rule is sound. In the order in which a person would fix it.
std::string complaint_about(const RuleText& text) {
    if (!is_rule_name(text.name, text.origin)) {
        const char* const lengths = text.origin == RuleOrigin::api ? "5 to 50" : "1 to 50";
        return fmt::format("cache rule \"{}\": its name must be {} letters, digits or '-'", escaped(text.name, 100), lengths);
    }
    const std::string_view source = text.source, target = text.target;
    const std::size_t slash = std::min(source.find('/'), source.size());
    if (const auto fault = fault_of_login_server(source.substr(0, slash)); !fault.empty())
        return complaint(text, "source", source, fault);
    const std::string_view path = source.substr(std::min(slash + 1, source.size()));
    if (const auto fault = fault_of_path(path); !fault.empty()) return complaint(text, "source", source, fault);
    if (is_official(source.substr(0, slash), path) && path.size() > repository_bytes_max - official_prefix.size())
        return complaint(text, "source", source, "is longer than a repository name may be once it is written library/NAME");
    if (const auto fault = fault_of_path(target); !fault.empty()) return complaint(text, "target", target, fault);
    if (target.ends_with('*') != path.ends_with('*')) {
        const std::string fault = fmt::format("and source \"{}\" must both end in '*' or both name one repository", source);
        return complaint(text, "target", target, fault);
    }
    if (!text.credential_set.empty() && !is_rule_name(text.credential_set, RuleOrigin::file)) {
        return complaint(text, "credential set", text.credential_set, "is not a valid name");
    }
    return complaint_about_policies(text);
}

// Durations are the operator's: no stranger looks for two that collide.
std::uint64_t freshness_of(const RuleText& text) noexcept {
    std::uint64_t hash = 0;
    const StalePolicy& stale = text.stale;
    for (const Duration part : {text.tag_ttl, stale.network, stale.server_error, stale.rate_limit, stale.denied, stale.missing})
        hash = (hash ^ static_cast<std::uint64_t>(part.count())) * 0x9e3779b97f4a7c15u ^ hash >> 29;
    return hash;
}

}  // namespace

std::string_view name_of(RuleOrigin origin) noexcept {
    switch (origin) {
        case RuleOrigin::file: return "file";
        case RuleOrigin::api: return "api";
        case RuleOrigin::builtin: return "default";
    }
    return "unknown";
}

bool is_rule_name(std::string_view name, RuleOrigin origin) noexcept {
    const std::size_t least = origin == RuleOrigin::api ? api_name_bytes_min : 1;
    if (name.size() < least || name.size() > rule_name_bytes_max) return false;
    return std::all_of(name.begin(), name.end(), [](char letter) {
        const char lower = static_cast<char>(letter | 0x20);
        return (letter >= '0' && letter <= '9') || (lower >= 'a' && lower <= 'z') || letter == '-';
    });
}

bool TagFilter::admits(std::string_view tag) const noexcept {
    if (!equals.empty()) return tag == equals;
    return tag.starts_with(starts_with) && tag.ends_with(ends_with) && tag.find(contains) != std::string_view::npos;
}

bool RuleText::anonymous() const noexcept {
    if (pull.empty()) return !private_source();
    return pull.front() == anonymous_puller;
}

bool is_platform(std::string_view text) noexcept {
    if (text.size() > platform_bytes_max) return false;
    std::size_t parts = 1, length = 0;
    for (const char c : text) {
        if (c == '/') {
            if (length == 0) return false;
            ++parts;
            length = 0;
            continue;
        }
        const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!fits) return false;
        ++length;
    }
    return length > 0 && (parts == 2 || parts == 3);
}

bool is_account_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > account_name_bytes_max) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        const char lower = static_cast<char>(c | 0x20);
        return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || c == '-' || c == '_' || c == '.';
    });
}

Result<CacheRule, std::string> CacheRule::parse(RuleText text) {
    if (auto complaint = complaint_about(text); !complaint.empty()) return complaint;
    const std::string_view written = text.source;
    const std::size_t slash = written.find('/');
    const std::string_view login_server = canonical_login_server(written.substr(0, slash)), path = written.substr(slash + 1);

    CacheRule rule;
    rule.wildcard_ = path.ends_with('*');
    const std::string_view prefix = is_official(login_server, path) ? official_prefix : "";
    rule.login_server_bytes_ = static_cast<std::uint16_t>(login_server.size());
    text.source = fmt::format("{}/{}{}", login_server, prefix, path);  // the views into it end here
    rule.text_ = std::move(text);
    rule.allow_ = *parse_repository_patterns(rule.text_.allow);
    rule.deny_ = *parse_repository_patterns(rule.text_.deny);
    for (const std::string& platform : rule.text_.platforms) rule.platforms_.push_back(Platform::parse(platform));
    rule.freshness_ = freshness_of(rule.text_);
    const std::size_t star = rule.wildcard_ ? 1 : 0;
    rule.source_path_bytes_ = static_cast<std::uint16_t>(rule.text_.source.size() - rule.login_server_bytes_ - 1 - star);
    rule.target_path_bytes_ = static_cast<std::uint16_t>(rule.text_.target.size() - star);
    return rule;
}

std::vector<RuleText> default_rules() {
    std::vector<RuleText> rules;
    for (const std::string_view login_server : default_login_servers()) {
        RuleText rule;
        rule.name = login_server;
        std::replace(rule.name.begin(), rule.name.end(), '.', '-');
        rule.source = fmt::format("{}/*", login_server);
        rule.target = rule.source;
        rule.origin = RuleOrigin::builtin;
        rules.push_back(std::move(rule));
    }
    return rules;
}

}  // namespace entrepot
