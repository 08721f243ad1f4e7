#include "entrepot/rules/identity_reference.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace entrepot {

namespace {

constexpr std::size_t text_bytes_max = 1024;
constexpr std::size_t name_bytes_max = 128;

constexpr std::string_view what_to_write =
    "must be \"system\", \"imds\", \"imds:CLIENT_ID\", \"arc\", \"federated:CLIENT_ID@TENANT:/path\", "
    "\"certificate:CLIENT_ID@TENANT:/path\" or the resource id of a user-assigned identity (/subscriptions/...)";

bool is_alphanumeric(char letter) noexcept {
    const char lower = static_cast<char>(letter | 0x20);
    return (lower >= 'a' && lower <= 'z') || (letter >= '0' && letter <= '9');
}

bool consists_of(std::string_view text, std::string_view besides) noexcept {
    return !text.empty() && text.size() <= name_bytes_max && std::all_of(text.begin(), text.end(), [besides](char letter) {
        return is_alphanumeric(letter) || besides.find(letter) != besides.npos;
    });
}

// 8-4-4-4-12 hexadecimal digits.
bool is_guid(std::string_view text) noexcept {
    if (text.size() != 36) return false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const bool is_dash = at == 8 || at == 13 || at == 18 || at == 23;
        const char lower = static_cast<char>(text[at] | 0x20);
        const bool is_digit = (text[at] >= '0' && text[at] <= '9') || (lower >= 'a' && lower <= 'f');
        if (is_dash ? text[at] != '-' : !is_digit) return false;
    }
    return true;
}

bool is_domain(std::string_view text) noexcept {
    return consists_of(text, "-.") && text.find('.') != text.npos && text.front() != '.' && text.back() != '.' &&
           text.find("..") == text.npos;
}

bool equals_without_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

// /subscriptions/GUID/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME; the words in any case.
bool is_resource_id(std::string_view text) {
    std::vector<std::string_view> parts;
    for (text.remove_prefix(1); parts.size() <= 8; text.remove_prefix(text.find('/') + 1)) {
        parts.push_back(text.substr(0, text.find('/')));
        if (text.find('/') == text.npos) break;
    }
    return parts.size() == 8 && equals_without_case(parts[0], "subscriptions") && is_guid(parts[1]) &&
           equals_without_case(parts[2], "resourceGroups") && consists_of(parts[3], "-_.()") &&
           equals_without_case(parts[4], "providers") && equals_without_case(parts[5], "Microsoft.ManagedIdentity") &&
           equals_without_case(parts[6], "userAssignedIdentities") && consists_of(parts[7], "-_");
}

bool is_path(std::string_view text) noexcept {
    return text.starts_with('/') &&
           std::all_of(text.begin(), text.end(), [](char letter) { return letter >= 0x20 && letter < 0x7f; });
}

// "CLIENT_ID@TENANT:/path"
Result<IdentityReference, std::string> parse_application(IdentityKind kind, std::string_view text) {
    IdentityReference identity;
    identity.kind = kind;
    const auto at = text.find('@');
    const auto colon = at == text.npos ? text.npos : text.find(':', at);
    if (colon == text.npos) return std::string("must go on as CLIENT_ID@TENANT:/path");
    identity.client_id = text.substr(0, at);
    identity.tenant = text.substr(at + 1, colon - at - 1);
    identity.path = text.substr(colon + 1);
    if (!is_guid(identity.client_id))
        return std::string("must have a client id like 00000000-0000-0000-0000-000000000000 before '@'");
    if (!is_guid(identity.tenant) && !is_domain(identity.tenant))
        return std::string("must have a tenant behind '@', by its id or as a domain");
    if (!is_path(identity.path)) return std::string("must have an absolute path behind the tenant");
    return identity;
}

}  // namespace

std::string IdentityReference::text() const {
    switch (kind) {
        case IdentityKind::system: return "system";
        case IdentityKind::arc: return "arc";
        case IdentityKind::metadata:
            if (!resource_id.empty()) return resource_id;
            return client_id.empty() ? "imds" : "imds:" + client_id;
        case IdentityKind::federated: return "federated:" + client_id + "@" + tenant + ":" + path;
        case IdentityKind::certificate: return "certificate:" + client_id + "@" + tenant + ":" + path;
    }
    return "system";
}

Result<IdentityReference, std::string> parse_identity_reference(std::string_view text) {
    constexpr std::string_view metadata = "imds:", federated = "federated:", certificate = "certificate:";
    if (text.size() > text_bytes_max) return std::string("is too long");
    if (text == "system") return IdentityReference{};
    IdentityReference identity;
    identity.kind = text == "arc" ? IdentityKind::arc : IdentityKind::metadata;
    if (text == "imds" || text == "arc") return identity;
    if (text.starts_with(metadata)) {
        text.remove_prefix(metadata.size());
        if (!is_guid(text)) return std::string("must have a client id like 00000000-0000-0000-0000-000000000000 after \"imds:\"");
        identity.client_id = text;
        return identity;
    }
    if (text.starts_with(federated)) return parse_application(IdentityKind::federated, text.substr(federated.size()));
    if (text.starts_with(certificate)) return parse_application(IdentityKind::certificate, text.substr(certificate.size()));
    if (text.starts_with('/') && is_resource_id(text)) {
        identity.resource_id = text;
        return identity;
    }
    return std::string(what_to_write);
}

}  // namespace entrepot
