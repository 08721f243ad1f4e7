#pragma once
// JSON Web Tokens (RFC 7519) as far as a client needs them: when one that was given to us ends, and the text of one that we sign. Nothing is verified here: a
// token that we present is its audience's to judge.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

constexpr std::size_t jwt_bytes_max = 64 * 1024;

/// RFC 4648 section 5, without padding.
std::string base64url(std::string_view bytes);
/// Nothing when it is not exactly that.
std::optional<std::string> base64url_decode(std::string_view text);

/// The "exp" claim, wall seconds. Nothing when it is no JWT, or has no such claim, or a senseless one.
std::optional<std::int64_t> jwt_expiry(std::string_view token);

/// A client assertion (RFC 7523): who says so, to whom, and for how long.
struct ClientAssertion {
    std::string client, audience, id;
    std::string thumbprint;  ///< SHA-1 of the certificate, 20 bytes
    std::int64_t from = 0, until = 0;
};
/// "header.claims", over which the signature (RS256) goes.
std::string signing_input(const ClientAssertion& assertion);

}  // namespace entrepot
