#include "entrepot/rules/secret_reference.h"

#include <algorithm>

namespace entrepot {

namespace {

constexpr std::size_t place_bytes_max = 4095;  // PATH_MAX

constexpr std::string_view prefixes[] = {"file:", "env:", "systemd:"};

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

std::string_view fault_of_place(SecretKind kind, std::string_view place) noexcept {
    if (place.size() > place_bytes_max || !is_printable(place)) return "is too long or holds characters that no name has";
    switch (kind) {
        case SecretKind::file: return place.starts_with('/') ? "" : "must have an absolute path after \"file:\"";
        case SecretKind::env: return is_variable(place) ? "" : "must have the name of a variable after \"env:\"";
        case SecretKind::systemd: return is_credential(place) ? "" : "must have the name of a credential after \"systemd:\"";
    }
    return "is not understood";
}

}  // namespace

std::string SecretReference::text() const { return std::string(prefixes[static_cast<std::size_t>(kind)]).append(place); }

Result<SecretReference, std::string> parse_secret_reference(std::string_view text) {
    for (const SecretKind kind : {SecretKind::file, SecretKind::env, SecretKind::systemd}) {
        const std::string_view prefix = prefixes[static_cast<std::size_t>(kind)];
        if (!text.starts_with(prefix)) continue;
        const std::string_view place = text.substr(prefix.size());
        if (const auto fault = fault_of_place(kind, place); !fault.empty()) return std::string(fault);
        return SecretReference{kind, std::string(place)};
    }
    return std::string(
        "must be a reference, \"file:/path\", \"env:NAME\" or \"systemd:NAME\"; vaults are not supported, "
        "and a secret itself does not belong here");
}

}  // namespace entrepot
