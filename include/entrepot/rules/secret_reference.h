#pragma once
// Where a secret is kept, never the secret: `file:/path`, `env:NAME`, `systemd:NAME` (a credential of the unit, see
// systemd.exec(5) LoadCredential=). Reading it is upstream's business, at the time of use, so that a rotated secret is seen.

#include "entrepot/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot {

enum class SecretKind : std::uint8_t { file, env, systemd };

struct SecretReference {
    SecretKind kind = SecretKind::file;
    std::string place;  ///< an absolute path, the name of a variable, the name of a credential

    std::string text() const;  ///< "file:/etc/entrepot/hub.user"
    friend bool operator==(const SecretReference&, const SecretReference&) = default;
};

/// The error is a phrase that does not repeat `text`: people paste secrets by mistake, and errors are logged.
Result<SecretReference, std::string> parse_secret_reference(std::string_view text);

}  // namespace entrepot
