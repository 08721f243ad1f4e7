#include "rules/service_entries.h"

#include "entrepot/base/log.h"
#include "entrepot/rules/endpoint.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {

namespace {

constexpr std::size_t name_bytes_max = 255;

// The origin as one writes it, without a path.
void read_origin(ConfigSection& section, std::string_view key, std::string& origin) {
    std::string text;
    if (!section.text(key, text)) return;
    const auto endpoint = parse_endpoint(text);
    if (endpoint) origin = endpoint->url();
    else section.refuse(key, fmt::format("\"{}\" {}", escaped(text, 300), endpoint.error()));
}

// The text is never shown: it may be the secret itself, put there by mistake.
bool read_secret(ConfigSection& section, std::string_view key, SecretReference& reference) {
    std::string text;
    if (!section.text(key, text)) return false;
    auto parsed = parse_secret_reference(text);
    const bool of_a_vault = parsed && (parsed->kind == SecretKind::vault || parsed->kind == SecretKind::key_vault);
    if (!parsed) section.refuse(key, parsed.error());
    else if (of_a_vault) section.refuse(key, "opens the vault, so it must be a file:, env: or systemd: reference");
    else reference = std::move(*parsed);
    return true;
}

// What becomes part of a path or a header.
void read_name(ConfigSection& section, std::string_view key, std::string& name) {
    std::string text;
    if (!section.text(key, text)) return;
    const bool good = !text.empty() && text.size() <= name_bytes_max && text.find("..") == text.npos &&
                      std::all_of(text.begin(), text.end(), [](char letter) {
                          const char lower = static_cast<char>(letter | 0x20);
                          return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') ||
                                 std::string_view("-_./").find(letter) != std::string_view::npos;
                      });
    if (good) name = std::move(text);
    else section.refuse(key, "must consist of letters, digits, '-', '_', '.' and '/'");
}

// Each names who gets tokens, so nothing short enough to mean everybody.
bool is_host_or_end(std::string_view text) noexcept {
    const std::string_view name = text.starts_with('.') ? text.substr(1) : text;
    const bool good = std::all_of(name.begin(), name.end(), [](char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '-' || letter == '.';
    });
    return good && !name.empty() && name.size() <= name_bytes_max && name.find('.') != name.npos;
}

void read_registries(ConfigSection& section, std::vector<std::string>& registries) {
    const auto* list = section.list("registries", identity_registries_max);
    if (!list) return;
    registries.clear();
    for (const auto& node : *list) {
        std::string text;
        if (!section.element_text("registries", node, text)) continue;
        if (is_host_or_end(text)) registries.push_back(std::move(text));
        else
            section.refuse("registries", fmt::format("names \"{}\", which is no host nor an end of one like \".azurecr.io\"",
                                                     escaped(text, 100)));
    }
}

void read_approle(ConfigSection section, VaultAppRole& approle) {
    if (!section.text("role_id", approle.role_id) || approle.role_id.empty()) section.refuse("role_id", "is missing");
    if (!read_secret(section, "secret_id", approle.secret_id)) section.refuse("secret_id", "is missing");
    read_name(section, "mount", approle.mount);
    section.refuse_unknown_keys();
}

void read_jwt(ConfigSection section, VaultJwt& jwt) {
    if (!section.text("role", jwt.role) || jwt.role.empty()) section.refuse("role", "is missing");
    if (!section.path("file", jwt.file)) section.refuse("file", "is missing");
    read_name(section, "mount", jwt.mount);
    section.refuse_unknown_keys();
}

}  // namespace

void read_vault(ConfigSection section, VaultConfig& vault) {
    read_origin(section, "address", vault.address);
    if (vault.address.empty()) section.refuse("address", "is missing");
    section.optional_path("ca_file", vault.ca_file);
    read_name(section, "namespace", vault.vault_namespace);
    SecretReference token;
    if (read_secret(section, "token", token)) vault.token = std::move(token);
    if (const auto* table = section.table("approle"))
        read_approle(section.inner(*table, "approle of [vault]"), vault.approle.emplace());
    if (const auto* table = section.table("jwt")) read_jwt(section.inner(*table, "jwt of [vault]"), vault.jwt.emplace());
    const int ways = vault.token.has_value() + vault.approle.has_value() + vault.jwt.has_value();
    if (ways != 1) section.refuse("token", "or approle or jwt: exactly one of the three says how to log in");
    section.refuse_unknown_keys();
}

void read_identity(ConfigSection section, IdentityConfig& identity) {
    read_origin(section, "authority", identity.authority);
    read_origin(section, "metadata", identity.metadata);
    read_origin(section, "arc", identity.arc);
    section.path("arc_tokens", identity.arc_tokens);
    read_origin(section, "audience", identity.audience);
    read_registries(section, identity.registries);
    read_origin(section, "key_vault", identity.key_vault);
    std::string text;
    if (section.text("key_vault_identity", text)) {
        auto parsed = parse_identity_reference(text);
        if (parsed) identity.key_vault_identity = std::move(*parsed);
        else section.refuse("key_vault_identity", parsed.error());
    }
    section.optional_path("ca_file", identity.ca_file);
    section.flag("allow_private", identity.allow_private);
    section.refuse_unknown_keys();
}

}  // namespace entrepot
