#pragma once
// A certificate whose owner signs texts, to prove who he is where no TLS handshake asks (RFC 7523 assertions).

#include "entrepot/base/result.h"

#include <memory>
#include <string>
#include <string_view>

namespace entrepot {

class TlsSigner {
  public:
    /// Certificate and RSA key, both in `pem`; `path` is for the error, one line that never shows any of it. Takes milliseconds, as sign() does: for a
    /// lane.
    static Result<std::unique_ptr<TlsSigner>, std::string> load(const std::string& pem, const std::string& path);
    virtual ~TlsSigner() = default;
    /// SHA-1 of the certificate, 20 bytes: a name for it, not a proof.
    virtual std::string thumbprint() const = 0;
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RS256). Empty when the library fails.
    virtual std::string sign(std::string_view text) = 0;
};

}  // namespace entrepot
