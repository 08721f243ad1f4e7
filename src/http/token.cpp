#include "entrepot/http/token.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t token_bytes_max = 16 * KiB;  // a longer one would not fit a request head of 32 KiB in many servers
constexpr Duration life_default = seconds(60);     // what the token specification says when expires_in is absent
constexpr std::uint64_t life_seconds_max = 60 * 60;

bool is_token_text(std::string_view token) noexcept {
    return !token.empty() && token.size() <= token_bytes_max &&
           std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

/// "expires_in"; zero or less, or no whole number, counts as absent (a token that is over too early is renewed at the next 401).
Duration life_of(const nlohmann::json& document) {
    auto expires = document.find("expires_in");
    if (expires == document.end() || !expires->is_number_unsigned()) return life_default;
    auto given = expires->get<std::uint64_t>();
    return given == 0 ? life_default : Duration(seconds(std::min(given, life_seconds_max)));
}

}  // namespace

std::optional<Url> token_url(const Challenge& challenge, std::string_view default_scope) {
    auto url = parse_url(challenge.param("realm").value_or(""));
    if (!url) return std::nullopt;
    auto service = challenge.param("service").value_or("");
    auto scope = challenge.param("scope").value_or("");
    bool scope_in_realm = find_query(url->query, "scope").has_value();
    if (scope.empty() && !scope_in_realm) scope = default_scope;
    if (!service.empty()) url->query = set_query(url->query, "service", service);
    if (!scope.empty()) url->query = set_query(url->query, "scope", scope);
    return url;
}

std::optional<TokenDocument> parse_token_document(std::string_view json) {
    auto document = nlohmann::json::parse(json, nullptr, false);
    if (!document.is_object()) return std::nullopt;
    TokenDocument result;
    for (const char* name : {"token", "access_token"}) {
        auto found = document.find(name);
        if (found != document.end() && found->is_string() && result.token.empty()) result.token = found->get<std::string>();
    }
    if (!is_token_text(result.token)) return std::nullopt;
    result.life = life_of(document);
    return result;
}

}  // namespace entrepot
