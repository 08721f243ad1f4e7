#pragma once
// A JSON text signed with HMAC-SHA256, as a JSON Web Token (RFC 7515, 7519). There is one algorithm and one header, ours, and it is compared and never read:
// so "alg":"none", another algorithm, a key named by the token and whatever else a header can ask for are all the same to us, wrong.

#include "entrepot/access/pull_token.h"

#include <optional>
#include <string>
#include <string_view>

namespace entrepot {

std::string sign_payload(const TokenKey& key, std::string_view payload);
/// The payload, if this key signed it.
std::optional<std::string> signed_payload(const TokenKey& key, std::string_view token);

}  // namespace entrepot
