#include "entrepot/rules/rule_document.h"

#include "entrepot/base/log.h"
#include "entrepot/base/units.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/known_registries.h"
#include "entrepot/rules/policy_text.h"

#include "rules/document_reader.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <ctime>

namespace entrepot {

namespace {

constexpr std::array<std::string_view, 5> server_members{"credentialSetResourceId", "origin", "creationDate", "provisioningState",
                                                         "etag"};

std::string etag_of_text(std::string_view name, std::string_view text) {
    return fmt::format("{:016x}", XXH3_64bits_withSeed(text.data(), text.size(), XXH3_64bits(name.data(), name.size())));
}

void read_stale(DocumentReader reader, StalePolicy& stale) {
    const StalePolicy defaults;
    for (const StaleClass& entry : stale_classes) {
        const auto read = [](std::string_view text) { return parse_stale_duration(text); };
        reader.parsed(entry.json_key, stale.*entry.duration, defaults.*entry.duration, read,
                      "\"never\", \"forever\" or a duration like \"24h\"");
    }
    reader.refuse_unknown_members();
}

void read_tags(DocumentReader reader, TagFilter& tags) {
    reader.text("equals", tags.equals);
    reader.text("startsWith", tags.starts_with);
    reader.text("endsWith", tags.ends_with);
    reader.text("contains", tags.contains);
    reader.refuse_unknown_members();
}

void ignore_server_members(DocumentReader& reader, ReadOnlyMembers read_only) {
    if (read_only == ReadOnlyMembers::refused) return;
    reader.ignore("name");
    for (const auto member : server_members) reader.ignore(member);
}

void read_reference(DocumentReader& reader, std::string_view member, SecretReference& reference) {
    std::string text;
    if (!reader.required_text(member, text)) return;
    auto parsed = parse_secret_reference(text);
    if (!parsed) return reader.refuse(member, parsed.error());  // which does not repeat the text: it may be the secret itself
    reference = *std::move(parsed);
}

CredentialPair read_pair(DocumentReader reader) {
    CredentialPair pair;
    read_reference(reader, "usernameSecretIdentifier", pair.username);
    read_reference(reader, "passwordSecretIdentifier", pair.password);
    reader.ignore("name");
    reader.ignore("credentialHealth");
    reader.refuse_unknown_members(false);
    return pair;
}

void read_pairs(DocumentReader& reader, CredentialSet& set) {
    const auto* pairs = reader.objects("authCredentials", 2);
    if (!pairs) return;
    if (pairs->empty()) return reader.refuse("authCredentials", "needs one pair of secrets, or two");
    set.primary = read_pair(reader.inner("authCredentials", (*pairs)[0]));
    set.secondary.reset();
    if (pairs->size() == 2) set.secondary = read_pair(reader.inner("authCredentials", (*pairs)[1]));
}

JsonDocument texts(const std::vector<std::string>& list) {
    auto array = JsonDocument::array();
    for (const auto& text : list) array.push_back(text);
    return array;
}

JsonDocument text_or_null(const std::string& text) { return text.empty() ? JsonDocument() : JsonDocument(text); }
JsonDocument time_or_null(std::int64_t wall) { return wall == 0 ? JsonDocument() : JsonDocument(rfc3339(wall)); }

/// The members that a client may write.
JsonDocument writable_part(const RuleText& rule) {
    JsonDocument document;
    document["sourceRepository"] = rule.source;
    document["targetRepository"] = rule.target;
    document["credentialSet"] = text_or_null(rule.credential_set);
    document["identity"] = text_or_null(rule.identity);
    document["tagTtl"] = duration_text(rule.tag_ttl);
    for (const StaleClass& entry : stale_classes)
        document["stale"][std::string(entry.json_key)] = stale_duration_text(rule.stale.*entry.duration);
    document["tags"]["equals"] = rule.tags.equals;
    document["tags"]["startsWith"] = rule.tags.starts_with;
    document["tags"]["endsWith"] = rule.tags.ends_with;
    document["tags"]["contains"] = rule.tags.contains;
    document["platforms"] = texts(rule.platforms);
    document["allow"] = texts(rule.allow);
    document["deny"] = texts(rule.deny);
    document["pull"] = texts(rule.pull);
    return document;
}

std::string_view name_of(CredentialHealth::Status status) noexcept {
    switch (status) {
        case CredentialHealth::Status::unknown: return "Unknown";
        case CredentialHealth::Status::healthy: return "Healthy";
        case CredentialHealth::Status::unhealthy: return "Unhealthy";
    }
    return "Unknown";
}

JsonDocument health_document(const CredentialHealth& health) {
    JsonDocument document;
    document["status"] = name_of(health.status);
    document["errorCode"] = text_or_null(health.code);
    document["errorMessage"] = text_or_null(health.message);
    document["checked"] = time_or_null(health.checked);
    return document;
}

JsonDocument pair_document(const CredentialPair& pair, std::size_t number) {
    JsonDocument document;
    document["name"] = fmt::format("Credential{}", number);
    document["usernameSecretIdentifier"] = pair.username.text();
    document["passwordSecretIdentifier"] = pair.password.text();
    return document;
}

JsonDocument writable_part(const CredentialSet& set) {
    JsonDocument document;
    document["loginServer"] = set.login_server;
    document["authCredentials"] = JsonDocument::array({pair_document(set.primary, 1)});
    if (set.secondary) document["authCredentials"].push_back(pair_document(*set.secondary, 2));
    return document;
}

/// What both kinds end with.
void add_server_members(JsonDocument& document, RuleOrigin origin, std::int64_t created, std::string etag) {
    document["origin"] = entrepot::name_of(origin);
    document["creationDate"] = time_or_null(created);
    document["provisioningState"] = "Succeeded";
    document["etag"] = std::move(etag);
}

/// What the ledger keeps besides.
void add_kept_members(JsonDocument& document, const RuleText& rule) { document["creationDate"] = time_or_null(rule.created); }
void add_kept_members(JsonDocument& document, const CredentialSet& set) {
    document["creationDate"] = time_or_null(set.created);
    document["scope"] = set.scope;
}
void take_kept_members(nlohmann::json&, RuleText&) {}
void take_kept_members(nlohmann::json& document, CredentialSet& set) {
    const auto scope = document.find("scope");
    if (scope == document.end()) return;
    if (scope->is_string()) set.scope = scope->get<std::string>();
    document.erase(scope);
}

template <typename Value>
std::string stored_text_of(const Value& value) {
    auto document = writable_part(value);
    add_kept_members(document, value);
    return document.dump();
}

/// Parses what stored_text() wrote: a member that this version does not know is an error, never dropped.
template <typename Value, typename Patch>
Result<Value, std::string> from_stored(std::string_view name, std::string_view text, Patch patch) {
    auto document = nlohmann::json::parse(text, nullptr, false);
    if (!document.is_object()) return std::string("is no JSON object");
    Value value;
    value.name = name;
    value.origin = RuleOrigin::api;
    const auto created = document.find("creationDate");
    if (created != document.end() && created->is_string())
        value.created = parse_rfc3339(created->get_ref<const std::string&>()).value_or(0);
    take_kept_members(document, value);
    auto patched = patch(value, document, ReadOnlyMembers::ignored);
    if (!patched) return patched.error();
    return value;
}

}  // namespace

Result<void, std::string> patch_rule(RuleText& rule, const nlohmann::json& changes, ReadOnlyMembers read_only) {
    std::string problem;
    const RuleText defaults;
    DocumentReader reader(changes, "", problem);
    ignore_server_members(reader, read_only);
    reader.text("sourceRepository", rule.source);
    reader.text("targetRepository", rule.target);
    reader.text("credentialSet", rule.credential_set);
    reader.text("identity", rule.identity);
    const auto read_duration = [](std::string_view text) { return parse_duration(text); };
    reader.parsed("tagTtl", rule.tag_ttl, defaults.tag_ttl, read_duration, "a duration like \"60s\", \"5m\" or \"24h\"");
    if (const auto* object = reader.object("stale", rule.stale)) read_stale(reader.inner("stale", *object), rule.stale);
    if (const auto* object = reader.object("tags", rule.tags)) read_tags(reader.inner("tags", *object), rule.tags);
    reader.texts("platforms", rule_platforms_max, rule.platforms);
    reader.texts("allow", rule_patterns_max, rule.allow);
    reader.texts("deny", rule_patterns_max, rule.deny);
    reader.texts("pull", rule_pullers_max, rule.pull);
    reader.refuse_unknown_members();
    if (!problem.empty()) return problem;
    return {};
}

Result<void, std::string> patch_credential_set(CredentialSet& set, const nlohmann::json& changes, ReadOnlyMembers read_only) {
    std::string problem;
    DocumentReader reader(changes, "", problem);
    ignore_server_members(reader, read_only);
    std::string login_server;
    if (reader.given("loginServer")) {
        reader.text("loginServer", login_server);
        if (is_login_server(login_server)) set.login_server = canonical_login_server(login_server);
        else reader.refuse("loginServer", "is no login server (host or host:port, in lower case)");
    }
    read_pairs(reader, set);
    reader.refuse_unknown_members(false);
    if (!problem.empty()) return problem;
    return {};
}

JsonDocument rule_document(const RuleText& rule) {
    JsonDocument document;
    document["name"] = rule.name;
    document.update(writable_part(rule));
    document["credentialSetResourceId"] =
        rule.credential_set.empty() ? JsonDocument() : JsonDocument("/credentialSets/" + rule.credential_set);
    add_server_members(document, rule.origin, rule.created, etag_of(rule));
    return document;
}

JsonDocument credential_set_document(const CredentialSet& set, const std::vector<CredentialHealth>& health) {
    JsonDocument document;
    document["name"] = set.name;
    document.update(writable_part(set));
    auto& pairs = document["authCredentials"];
    for (std::size_t i = 0; i < pairs.size(); ++i)
        pairs[i]["credentialHealth"] = health_document(i < health.size() ? health[i] : CredentialHealth{});
    add_server_members(document, set.origin, set.created, etag_of(set));
    return document;
}

std::string etag_of(const RuleText& rule) { return etag_of_text(rule.name, stored_text(rule)); }
std::string etag_of(const CredentialSet& set) { return etag_of_text(set.name, stored_text(set)); }

std::string stored_text(const RuleText& rule) { return stored_text_of(rule); }
std::string stored_text(const CredentialSet& set) { return stored_text_of(set); }

Result<RuleText, std::string> rule_from_stored(std::string_view name, std::string_view text) {
    return from_stored<RuleText>(name, text, patch_rule);
}
Result<CredentialSet, std::string> credential_set_from_stored(std::string_view name, std::string_view text) {
    return from_stored<CredentialSet>(name, text, patch_credential_set);
}

std::string rfc3339(std::int64_t wall) {
    const std::time_t time = wall;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                       parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept {
    // Whole seconds of UTC, as rfc3339() writes them: "2026-11-21T15:52:38Z".
    constexpr std::string_view shape = "dddd-dd-ddTdd:dd:ddZ";
    if (text.size() != shape.size()) return std::nullopt;
    for (std::size_t i = 0; i < shape.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == 'd' ? !digit : text[i] != shape[i]) return std::nullopt;
    }
    const auto number = [&](std::size_t at, std::size_t digits) {
        int value = 0;
        for (std::size_t i = at; i < at + digits; ++i) value = value * 10 + (text[i] - '0');
        return value;
    };
    std::tm parts{};
    parts.tm_year = number(0, 4) - 1900;
    parts.tm_mon = number(5, 2) - 1;
    parts.tm_mday = number(8, 2);
    parts.tm_hour = number(11, 2);
    parts.tm_min = number(14, 2);
    parts.tm_sec = number(17, 2);
    const std::tm asked = parts;
    const std::time_t time = ::timegm(&parts);
    const bool same = parts.tm_mon == asked.tm_mon && parts.tm_mday == asked.tm_mday && parts.tm_hour == asked.tm_hour &&
                      parts.tm_min == asked.tm_min && parts.tm_sec == asked.tm_sec;  // else timegm has put 31 February right
    if (!same) return std::nullopt;
    return time;
}

}  // namespace entrepot
