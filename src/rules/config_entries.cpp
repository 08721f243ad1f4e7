#include "rules/config_entries.h"

#include "entrepot/base/log.h"
#include "entrepot/base/units.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/known_registries.h"
#include "entrepot/rules/policy_text.h"

namespace entrepot {

namespace {

void read_duration(ConfigSection& section, std::string_view key, Duration& value) {
    std::string text;
    if (!section.text(key, text)) return;
    const auto duration = parse_duration(text);
    if (duration) value = *duration;
    else section.refuse(key, fmt::format("is \"{}\", which is no duration like \"60s\", \"5m\" or \"24h\"", escaped(text, 100)));
}

void read_stale(ConfigSection section, StalePolicy& stale) {
    for (const StaleClass& entry : stale_classes) {
        std::string text;
        if (!section.text(entry.key, text)) continue;
        const auto duration = parse_stale_duration(text);
        if (duration) stale.*entry.duration = *duration;
        else
            section.refuse(entry.key,
                           fmt::format("is \"{}\", which is neither \"never\", \"forever\" nor a duration like \"24h\"",
                                       escaped(text, 100)));
    }
    section.refuse_unknown_keys();
}

void read_tag_filter(ConfigSection section, TagFilter& tags) {
    section.text("equals", tags.equals);
    section.text("starts_with", tags.starts_with);
    section.text("ends_with", tags.ends_with);
    section.text("contains", tags.contains);
    section.refuse_unknown_keys();
}

void read_texts(ConfigSection& section, std::string_view key, std::size_t count_max, std::vector<std::string>& texts) {
    const auto* list = section.list(key, count_max);
    if (!list) return;
    texts.clear();
    for (const auto& node : *list) {
        std::string text;
        if (section.element_text(key, node, text)) texts.push_back(std::move(text));
    }
}

// The text is never shown: it may be the secret itself, put there by mistake.
bool read_secret(ConfigSection& section, std::string_view key, SecretReference& reference) {
    std::string text;
    if (!section.text(key, text)) return false;
    auto parsed = parse_secret_reference(text);
    if (!parsed) section.refuse(key, parsed.error());
    else reference = std::move(*parsed);
    return true;
}

}  // namespace

void read_rule_entry(ConfigSection& section, RuleText& rule) {
    for (const auto& [key, text] :
         {std::pair("name", &rule.name), std::pair("source", &rule.source), std::pair("target", &rule.target)}) {
        if (!section.text(key, *text)) section.refuse(key, "is missing");
    }
    section.text("credential_set", rule.credential_set);
    section.text("identity", rule.identity);
    read_duration(section, "tag_ttl", rule.tag_ttl);
    if (const auto* table = section.table("stale")) read_stale(section.inner(*table, "stale of [[cache_rule]]"), rule.stale);
    if (const auto* table = section.table("tags")) read_tag_filter(section.inner(*table, "tags of [[cache_rule]]"), rule.tags);
    read_texts(section, "platforms", rule_platforms_max, rule.platforms);
    read_texts(section, "allow", rule_patterns_max, rule.allow);
    read_texts(section, "deny", rule_patterns_max, rule.deny);
    read_texts(section, "pull", rule_pullers_max, rule.pull);
    section.refuse_unknown_keys();
}

void read_credential_set_entry(ConfigSection& section, CredentialSet& set) {
    if (!section.text("name", set.name) || !is_credential_set_name(set.name, RuleOrigin::file)) {
        section.refuse("name", "must be 1 to 50 letters, digits or '-'");
    }
    read_login_server_key(section, set.login_server);
    if (!read_secret(section, "username", set.primary.username)) section.refuse("username", "is missing");
    if (!read_secret(section, "password", set.primary.password)) section.refuse("password", "is missing");
    CredentialPair secondary;
    const bool username = read_secret(section, "secondary_username", secondary.username);
    const bool password = read_secret(section, "secondary_password", secondary.password);
    if (username != password)
        section.refuse(username ? "secondary_username" : "secondary_password",
                       "needs its other half: secondary_username and secondary_password go together");
    if (username && password) set.secondary = std::move(secondary);
    set.scope = scope_of_file(set);
    section.refuse_unknown_keys();
}

void read_login_server_key(ConfigSection& section, std::string& login_server) {
    std::string text;
    if (!section.text("login_server", text)) return section.refuse("login_server", "is missing");
    if (is_login_server(text)) {
        login_server = canonical_login_server(text);
        return;
    }
    section.refuse("login_server",
                   fmt::format("is \"{}\", which is no login server (host or host:port, in lower case)", escaped(text, 300)));
}

}  // namespace entrepot
