#pragma once
// The token protocol of registries without its waits: what a Bearer challenge makes us ask for, and what the answer says.

#include "entrepot/base/bytes.h"
#include "entrepot/base/clock.h"
#include "entrepot/http/challenge.h"
#include "entrepot/http/url.h"

#include <optional>
#include <string>

namespace entrepot {

constexpr std::size_t token_document_bytes_max = 64 * KiB;

/// The URL of the token request: the challenge's realm with service and scope in its query. `default_scope` stands in when
/// neither the challenge nor the realm's own query names one. Nothing when the realm is no URL.
std::optional<Url> token_url(const Challenge& challenge, std::string_view default_scope);

/// `{"token" | "access_token", "expires_in"}`. Nothing when it is no such document, or when the token could not stand in a
/// header.
struct TokenDocument {
    std::string token;
    Duration life{0};  ///< 1 s to 1 h; 60 s when the document does not say
};
std::optional<TokenDocument> parse_token_document(std::string_view json);

}  // namespace entrepot
