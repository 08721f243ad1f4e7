#include "entrepot/http/jwt.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::int64_t expiry_max = std::int64_t{1} << 40;  // some thirty thousand years: later is a mistake

int value_of(char digit) noexcept {
    auto found = digits.find(digit);
    return digit == '\0' || found == digits.npos ? -1 : static_cast<int>(found);
}

}  // namespace

std::string base64url(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() * 4 + 2) / 3);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        auto given = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < given ? static_cast<unsigned char>(bytes[at + i]) : 0u);
        for (std::size_t i = 0; i <= given; ++i) text.push_back(digits[group >> (18 - 6 * i) & 63]);
    }
    return text;
}

std::optional<std::string> base64url_decode(std::string_view text) {
    if (text.size() % 4 == 1) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() * 3 / 4);
    std::uint32_t group = 0;
    int bits = 0;
    for (char digit : text) {
        auto value = value_of(digit);
        if (value < 0) return std::nullopt;
        group = group << 6 | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes.push_back(static_cast<char>(group >> bits & 0xff));
    }
    bool clean = (group & ((1u << bits) - 1)) == 0;
    if (!clean) return std::nullopt;
    return bytes;
}

std::optional<std::int64_t> jwt_expiry(std::string_view token) {
    if (token.size() > jwt_bytes_max) return std::nullopt;
    auto first = token.find('.');
    auto second = first == token.npos ? token.npos : token.find('.', first + 1);
    if (second == token.npos) return std::nullopt;
    auto claims = base64url_decode(token.substr(first + 1, second - first - 1));
    if (!claims) return std::nullopt;
    auto document = nlohmann::json::parse(*claims, nullptr, false);
    if (!document.is_object()) return std::nullopt;
    auto expiry = document.find("exp");
    if (expiry == document.end() || !expiry->is_number()) return std::nullopt;
    auto seconds = expiry->get<double>();  // RFC 7519 section 2 allows fractions
    if (!(seconds > 0 && seconds < static_cast<double>(expiry_max))) return std::nullopt;
    return static_cast<std::int64_t>(seconds);
}

std::string signing_input(const ClientAssertion& assertion) {
    nlohmann::json header{{"alg", "RS256"}, {"typ", "JWT"}, {"x5t", base64url(assertion.thumbprint)}};
    nlohmann::json claims{{"aud", assertion.audience}, {"iss", assertion.client}, {"sub", assertion.client},
                          {"jti", assertion.id},       {"nbf", assertion.from},   {"exp", assertion.until}};
    return base64url(header.dump()) + "." + base64url(claims.dump());
}

}  // namespace entrepot
