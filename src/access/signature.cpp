#include "access/signature.h"

#include "access/base64_text.h"

#include <sodium.h>

namespace entrepot {
namespace {

using Mac = std::array<std::byte, crypto_auth_hmacsha256_BYTES>;
static_assert(crypto_auth_hmacsha256_KEYBYTES == std::tuple_size_v<TokenKey>);

const std::string& header() {
    static const std::string text = base64url_text(bytes_of(R"({"alg":"HS256","typ":"JWT"})"));
    return text;
}

Mac mac_of(const TokenKey& key, std::string_view text) noexcept {
    Mac mac;
    ::crypto_auth_hmacsha256(reinterpret_cast<unsigned char*>(mac.data()), reinterpret_cast<const unsigned char*>(text.data()),
                             text.size(), reinterpret_cast<const unsigned char*>(key.data()));
    return mac;
}

}  // namespace

std::string sign_payload(const TokenKey& key, std::string_view payload) {
    auto text = header() + "." + base64url_text(bytes_of(payload));
    auto mac = mac_of(key, text);
    return text + "." + base64url_text(mac);
}

std::optional<std::string> signed_payload(const TokenKey& key, std::string_view token) {
    if (token.size() > pull_token_bytes_max) return std::nullopt;
    auto last_dot = token.rfind('.');
    if (last_dot == std::string_view::npos) return std::nullopt;
    auto text = token.substr(0, last_dot);
    auto mac = mac_of(key, text);
    auto claimed = parse_base64url(token.substr(last_dot + 1));
    if (!claimed || claimed->size() != mac.size()) return std::nullopt;
    if (::sodium_memcmp(claimed->data(), mac.data(), mac.size()) != 0) return std::nullopt;
    // From here on it is what we wrote, unless the key is known elsewhere.
    if (!text.starts_with(header()) || text.size() <= header().size() || text[header().size()] != '.') return std::nullopt;
    return parse_base64url(text.substr(header().size() + 1));
}

}  // namespace entrepot
