#pragma once
// What vaults and authorities answer, as far as we read it. Pure. Nothing that is returned was left behind elsewhere: the parsed document is wiped.

#include "entrepot/base/clock.h"
#include "upstream/secret.h"

#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

/// Something that opens a door until its time is over.
struct Grant {
    SecretText token;
    Duration life{0};
};

/// {"access_token", "expires_in" | "expires_on"} as a directory of identities gives it, numbers also as text. The end that the token itself names (JWT) is believed
/// first. `wall`: what time it is. Nothing when there is no token that could stand in a header.
std::optional<Grant> parse_access_token(std::string_view json, std::int64_t wall);
/// {"refresh_token"} or {"access_token"} of an Azure container registry; the end stands in the token.
std::optional<Grant> parse_registry_token(std::string_view json, std::string_view name, std::int64_t wall);
/// {"auth": {"client_token", "lease_duration"}} of HashiCorp Vault's logins.
std::optional<Grant> parse_vault_login(std::string_view json);
/// What such a login is asked for by: {ROLE_NAME: role, PROOF_NAME: proof}.
std::string vault_login_text(const char* role_name, const std::string& role, const char* proof_name, const SecretText& proof);

/// {"data": {"data": {FIELD: text}}} of HashiCorp Vault's key-value engine, version 2.
std::optional<SecretText> parse_vault_secret(std::string_view json, const std::string& field);
/// Whether that is what is left of a secret whose newest version was deleted.
bool is_deleted_in_vault(std::string_view json);
/// What a refusal of HashiCorp Vault means, in our words, " (so)", as far as it is a known one; else "". Never its prose, which may repeat what it was sent.
std::string_view vault_reason(std::string_view json);

/// {"value": text} of a key vault.
std::optional<SecretText> parse_key_vault_secret(std::string_view json);
/// The error code of a key vault's refusal, the inner one if there is one ("SecretDisabled", "ForbiddenByRbac"), "" when it says none: never its prose.
std::string key_vault_refusal(std::string_view json);

/// The error code of an authority's refusal and the number of its reason ("invalid_client, AADSTS7000215"), "" when it says none: never its prose, which may
/// repeat what it was sent.
std::string authority_refusal(std::string_view json);

}  // namespace entrepot
