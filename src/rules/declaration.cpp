#include "entrepot/rules/declaration.h"

#include "entrepot/base/log.h"
#include "entrepot/base/units.h"
#include "entrepot/rules/config.h"
#include "entrepot/rules/policy_text.h"

#include "rules/config_entries.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace entrepot {

namespace {

using Out = std::back_insert_iterator<std::string>;

Declaration read_tables(const toml::table& document, ConfigProblem& problem) {
    Declaration declaration;
    ConfigSection top(document, "the file", problem);
    for (const auto* table : top.tables("credential_set", credential_sets_max)) {
        ConfigSection section(*table, "[[credential_set]]", problem);
        read_credential_set_entry(section, declaration.credential_sets.emplace_back());
    }
    for (const auto* table : top.tables("cache_rule", RuleTable::rules_max_ceiling)) {
        ConfigSection section(*table, "[[cache_rule]]", problem);
        read_rule_entry(section, declaration.rules.emplace_back());
    }
    top.refuse_unknown_keys();
    return declaration;
}

/// What only the server writes says nothing in a file that is to be applied.
JsonDocument without_server_members(JsonDocument document) {
    for (const auto* member : {"credentialSetResourceId", "origin", "creationDate", "provisioningState", "etag"})
        document.erase(member);
    if (auto pairs = document.find("authCredentials"); pairs != document.end())
        for (auto& pair : *pairs) pair.erase("credentialHealth");
    return document;
}

/// Entries of one of the two lists, each patched into a fresh value.
template <typename Value, typename Patch>
Result<void, std::string> read_entries(const JsonDocument& document, const char* list, Patch patch, std::vector<Value>& values) {
    const auto found = document.find(list);
    if (found == document.end()) return {};
    if (!found->is_array()) return fmt::format("{} is no list", list);
    for (const auto& entry : *found) {
        Value& value = values.emplace_back();
        const auto name = entry.is_object() ? entry.find("name") : entry.end();
        if (!entry.is_object() || name == entry.end() || !name->is_string())
            return fmt::format("an entry of {} has no name", list);
        value.name = name->template get<std::string>();
        auto patched = patch(value, nlohmann::json(entry), ReadOnlyMembers::ignored);
        if (!patched) return fmt::format("{} \"{}\": {}", list, escaped(value.name, 100), patched.error());
    }
    return {};
}

/// A text in quotes. JSON's escapes are TOML's, but for characters past U+FFFF, which JSON writes as two.
std::string quoted(const std::string& text) {
    const std::string json = nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    const auto unit_at = [&](std::size_t at) {
        return static_cast<std::uint32_t>(std::stoul(json.substr(at + 2, 4), nullptr, 16));
    };
    std::string out;
    for (std::size_t i = 0; i < json.size();) {
        if (json[i] == '\x7f') out += "\\u007f", ++i;
        else if (json[i] != '\\') out += json[i++];
        else if (json[i + 1] != 'u') out += json.substr(i, 2), i += 2;
        else if (const auto unit = unit_at(i); unit < 0xd800 || unit > 0xdbff) out += json.substr(i, 6), i += 6;
        else fmt::format_to(Out(out), "\\U{:08x}", 0x10000 + ((unit - 0xd800) << 10) + (unit_at(i + 6) - 0xdc00)), i += 12;
    }
    return out;
}

void write_text(Out out, std::string_view key, const std::string& value) {
    if (!value.empty()) fmt::format_to(out, "{} = {}\n", key, quoted(value));
}

void write_list(Out out, std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    std::string list;
    for (const auto& value : values) list += (list.empty() ? "" : ", ") + quoted(value);
    fmt::format_to(out, "{} = [{}]\n", key, list);
}

/// `entries` as key and value; those with an empty value are left out, and so is a table without entries.
void write_table(Out out, std::string_view key, const std::vector<std::pair<std::string_view, std::string>>& entries) {
    std::string table;
    for (const auto& [name, value] : entries)
        if (!value.empty()) fmt::format_to(Out(table), "{}{} = {}", table.empty() ? "" : ", ", name, quoted(value));
    if (!table.empty()) fmt::format_to(out, "{} = {{ {} }}\n", key, table);
}

void write_rule(Out out, const RuleText& rule) {
    const RuleText defaults;
    fmt::format_to(out, "\n[[cache_rule]]\n");
    write_text(out, "name", rule.name);
    write_text(out, "source", rule.source);
    write_text(out, "target", rule.target);
    write_text(out, "credential_set", rule.credential_set);
    write_text(out, "identity", rule.identity);
    if (rule.tag_ttl != defaults.tag_ttl) write_text(out, "tag_ttl", duration_text(rule.tag_ttl));
    std::vector<std::pair<std::string_view, std::string>> stale;
    for (const StaleClass& entry : stale_classes) {
        const bool usual = rule.stale.*entry.duration == defaults.stale.*entry.duration;
        stale.emplace_back(entry.key, usual ? std::string() : stale_duration_text(rule.stale.*entry.duration));
    }
    write_table(out, "stale", stale);
    write_table(out, "tags",
                {{"equals", rule.tags.equals},
                 {"starts_with", rule.tags.starts_with},
                 {"ends_with", rule.tags.ends_with},
                 {"contains", rule.tags.contains}});
    write_list(out, "platforms", rule.platforms);
    write_list(out, "allow", rule.allow);
    write_list(out, "deny", rule.deny);
    write_list(out, "pull", rule.pull);
}

void write_credential_set(Out out, const CredentialSet& set) {
    fmt::format_to(out, "\n[[credential_set]]\n");
    write_text(out, "name", set.name);
    write_text(out, "login_server", set.login_server);
    write_text(out, "username", set.primary.username.text());
    write_text(out, "password", set.primary.password.text());
    if (!set.secondary) return;
    write_text(out, "secondary_username", set.secondary->username.text());
    write_text(out, "secondary_password", set.secondary->password.text());
}

}  // namespace

Result<Declaration, std::string> parse_declaration(std::string_view text, std::string_view file) {
    ConfigProblem problem;
    const auto document = parse_toml(text, file);
    if (!document) return document.error();
    Declaration declaration = read_tables(*document, problem);
    if (problem.found()) return problem.text(file);
    return declaration;
}

JsonDocument declaration_document(const Declaration& declaration) {
    JsonDocument document{{"cacheRules", JsonDocument::array()}, {"credentialSets", JsonDocument::array()}};
    for (const auto& rule : declaration.rules) document["cacheRules"].push_back(without_server_members(rule_document(rule)));
    for (const auto& set : declaration.credential_sets)
        document["credentialSets"].push_back(without_server_members(credential_set_document(set, {})));
    return document;
}

Result<Declaration, std::string> declaration_from_document(const JsonDocument& document) {
    Declaration declaration;
    if (!document.is_object()) return std::string("it is no JSON object");
    auto rules = read_entries(document, "cacheRules", patch_rule, declaration.rules);
    if (!rules) return rules.error();
    auto sets = read_entries(document, "credentialSets", patch_credential_set, declaration.credential_sets);
    if (!sets) return sets.error();
    return declaration;
}

std::string declaration_toml(const Declaration& declaration) {
    std::string text = "# For `entrepot apply`: rules and credential sets; what is not said is as by default.\n";
    for (const auto& set : declaration.credential_sets) write_credential_set(Out(text), set);
    for (const auto& rule : declaration.rules) write_rule(Out(text), rule);
    return text;
}

}  // namespace entrepot
