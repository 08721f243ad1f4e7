#pragma once
// Where a secret is kept, never the secret:
//
//   file:/path       env:NAME       systemd:NAME               the last a credential of the unit, see systemd.exec(5) LoadCredential=
//   https://VAULT.vault.azure.net/secrets/NAME[/VERSION]       Azure Key Vault, or one of its sovereign clouds
//   vault:MOUNT/PATH#FIELD                                     HashiCorp Vault's key-value engine, version 2
//
// Reading it is upstream's business, at the time of use, so that a rotated secret is seen.

#include "entrepot/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot {

enum class SecretKind : std::uint8_t { file, env, systemd, vault, key_vault };

struct SecretReference {
    SecretKind kind = SecretKind::file;
    std::string place;  ///< an absolute path, the name of a variable or credential, "MOUNT/PATH#FIELD", or the whole URL

    std::string text() const;  ///< "file:/etc/entrepot/hub.user"
    friend bool operator==(const SecretReference&, const SecretReference&) = default;
};

/// The host and path of a key vault's reference, and what a token for it is asked for by.
struct KeyVaultPlace {
    std::string host;      ///< "corp.vault.azure.net"
    std::string path;      ///< "/secrets/NAME" or "/secrets/NAME/VERSION"
    std::string audience;  ///< "https://vault.azure.net"
};
KeyVaultPlace key_vault_place(const SecretReference& reference);

/// The error is a phrase that does not repeat `text`: people paste secrets by mistake, and errors are logged.
Result<SecretReference, std::string> parse_secret_reference(std::string_view text);

}  // namespace entrepot
