#include "entrepot/rules/secret_reference.h"

#include <algorithm>

namespace entrepot {

namespace {

constexpr std::size_t place_bytes_max = 4095;  // PATH_MAX

// By kind. A key vault's reference is its URL.
constexpr std::string_view prefixes[] = {"file:", "env:", "systemd:", "vault:", ""};
constexpr std::string_view https = "https://";
// The vaults of the public cloud and of the sovereign ones; each is also the audience of its tokens.
constexpr std::string_view key_vault_suffixes[] = {"vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net"};

bool is_printable(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char character) { return character >= 0x20 && character < 0x7f; });
}

bool is_variable(std::string_view name) noexcept {
    if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
    return std::all_of(name.begin(), name.end(), [](char letter) {
        const char lower = static_cast<char>(letter | 0x20);
        return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
    });
}

// systemd takes credential names as file names in one directory.
bool is_credential(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 255 && name != "." && name != ".." && name.find('/') == std::string_view::npos;
}

bool is_name(std::string_view text, std::string_view besides, std::size_t length_max) noexcept {
    return !text.empty() && text.size() <= length_max && std::all_of(text.begin(), text.end(), [besides](char letter) {
        const char lower = static_cast<char>(letter | 0x20);
        return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9') || besides.find(letter) != besides.npos;
    });
}

// "MOUNT/PATH#FIELD", nothing of it to be escaped in a URL.
bool is_vault_place(std::string_view place) noexcept {
    const auto hash = place.find('#');
    if (hash == place.npos || !is_name(place.substr(hash + 1), "-_.", 128)) return false;
    std::size_t parts = 0;
    for (std::string_view path = place.substr(0, hash);; ++parts) {
        const auto part = path.substr(0, path.find('/'));
        if (!is_name(part, "-_.", 255) || part == "." || part == "..") return false;
        if (part.size() == path.size()) return parts > 0;
        path.remove_prefix(part.size() + 1);
    }
}

// The suffix of a vault's host, or nothing. A vault has exactly one label before it.
std::string_view key_vault_suffix(std::string_view host) noexcept {
    const auto label = host.substr(0, host.find('.'));
    if (!is_name(label, "-", 24) || label.size() == host.size()) return {};
    for (const std::string_view suffix : key_vault_suffixes) {
        if (host.substr(label.size() + 1) == suffix) return suffix;
    }
    return {};
}

bool is_key_vault_url(std::string_view url) noexcept {
    constexpr std::string_view secrets = "/secrets/";
    url.remove_prefix(https.size());
    const auto host = url.substr(0, url.find('/'));
    if (key_vault_suffix(host).empty()) return false;
    const auto path = url.substr(host.size());
    if (!path.starts_with(secrets)) return false;
    const auto rest = path.substr(secrets.size());
    const auto name = rest.substr(0, rest.find('/'));
    return is_name(name, "-", 127) && (name.size() == rest.size() || is_name(rest.substr(name.size() + 1), "", 64));
}

std::string_view fault_of_place(SecretKind kind, std::string_view place) noexcept {
    if (place.size() > place_bytes_max || !is_printable(place)) return "is too long or holds characters that no name has";
    switch (kind) {
        case SecretKind::file: return place.starts_with('/') ? "" : "must have an absolute path after \"file:\"";
        case SecretKind::env: return is_variable(place) ? "" : "must have the name of a variable after \"env:\"";
        case SecretKind::systemd: return is_credential(place) ? "" : "must have the name of a credential after \"systemd:\"";
        case SecretKind::vault: return is_vault_place(place) ? "" : "must have MOUNT/PATH#FIELD after \"vault:\"";
        case SecretKind::key_vault:
            return is_key_vault_url(place) ? "" : "must be https://VAULT.vault.azure.net/secrets/NAME or .../NAME/VERSION";
    }
    return "is not understood";
}

}  // namespace

std::string SecretReference::text() const { return std::string(prefixes[static_cast<std::size_t>(kind)]).append(place); }

KeyVaultPlace key_vault_place(const SecretReference& reference) {
    const std::string_view url = std::string_view(reference.place).substr(https.size());
    const auto host = url.substr(0, url.find('/'));
    return {std::string(host), std::string(url.substr(host.size())), std::string(https).append(key_vault_suffix(host))};
}

Result<SecretReference, std::string> parse_secret_reference(std::string_view text) {
    if (text.starts_with(https)) {
        if (const auto fault = fault_of_place(SecretKind::key_vault, text); !fault.empty()) return std::string(fault);
        return SecretReference{SecretKind::key_vault, std::string(text)};
    }
    for (const SecretKind kind : {SecretKind::file, SecretKind::env, SecretKind::systemd, SecretKind::vault}) {
        const std::string_view prefix = prefixes[static_cast<std::size_t>(kind)];
        if (!text.starts_with(prefix)) continue;
        const std::string_view place = text.substr(prefix.size());
        if (const auto fault = fault_of_place(kind, place); !fault.empty()) return std::string(fault);
        return SecretReference{kind, std::string(place)};
    }
    return std::string(
        "must be a reference, \"file:/path\", \"env:NAME\", \"systemd:NAME\", \"vault:MOUNT/PATH#FIELD\" or "
        "\"https://VAULT.vault.azure.net/secrets/NAME\"; a secret itself does not belong here");
}

}  // namespace entrepot
