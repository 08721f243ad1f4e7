#include "entrepot/access/pull_token.h"

#include "entrepot/base/random.h"
#include "entrepot/base/sha256.h"

#include "access/signature.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>

namespace entrepot {
namespace {

using Json = nlohmann::json;

Json access_of(const PullToken& token) {
    auto access = Json::array();
    for (auto& repository : token.repositories)
        access.push_back({{"type", "repository"}, {"name", repository}, {"actions", {"pull"}}});
    return access;
}

std::optional<std::int64_t> number(const Json& claims, const char* name) {
    auto found = claims.find(name);
    if (found == claims.end() || !found->is_number_integer()) return std::nullopt;
    return found->get<std::int64_t>();
}

std::string text(const Json& claims, const char* name) {
    auto found = claims.find(name);
    return found != claims.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> pulled(const Json& claims) {
    std::vector<std::string> repositories;
    auto access = claims.find("access");
    if (access == claims.end() || !access->is_array()) return repositories;
    for (auto& entry : *access) {
        auto actions = entry.is_object() ? entry.find("actions") : entry.end();
        bool pulls = entry.is_object() && actions != entry.end() && actions->is_array() &&
                     std::find(actions->begin(), actions->end(), "pull") != actions->end();
        if (pulls && text(entry, "type") == "repository") repositories.push_back(text(entry, "name"));
    }
    return repositories;
}

}  // namespace

TokenKey make_token_key() {
    TokenKey key;
    random_key(key);
    return key;
}

bool PullToken::names(std::string_view repository) const noexcept {
    return std::ranges::find(repositories, repository) != repositories.end();
}

std::uint64_t stamp_of(const Account& account) noexcept {
    Sha256 sum;
    sum.update(bytes_of(account.hash));
    sum.update(std::as_bytes(std::span(&account.created, 1)));
    auto digest = sum.finish();
    std::uint64_t stamp = 0;
    std::memcpy(&stamp, digest.data(), sizeof stamp);
    return stamp >> 1;  // fits a JSON integer wherever it is read
}

PullToken make_pull_token(const Account* account, std::vector<std::string> repositories, std::int64_t wall) {
    PullToken token;
    if (account) {
        token.account = account->name;
        token.stamp = stamp_of(*account);
    }
    token.repositories = std::move(repositories);
    if (token.repositories.size() > token_repositories_max) token.repositories.resize(token_repositories_max);
    token.issued = wall;
    token.expires = wall + pull_token_seconds;
    return token;
}

std::string sign(const TokenKey& key, const PullToken& token) {
    Json claims;
    claims["iss"] = claims["aud"] = token_service;
    claims["sub"] = token.account;
    claims["iat"] = claims["nbf"] = token.issued;
    claims["exp"] = token.expires;
    claims["stamp"] = token.stamp;
    claims["access"] = access_of(token);
    return sign_payload(key, claims.dump());
}

std::optional<PullToken> verify_pull_token(const TokenKey& key, std::string_view text_of_token, std::int64_t wall) {
    auto payload = signed_payload(key, text_of_token);
    if (!payload) return std::nullopt;
    auto claims = Json::parse(*payload, nullptr, false);
    if (!claims.is_object() || text(claims, "aud") != token_service) return std::nullopt;
    auto issued = number(claims, "iat"), begins = number(claims, "nbf"), expires = number(claims, "exp"),
         stamp = number(claims, "stamp");
    if (!issued || !begins || !expires || !stamp) return std::nullopt;
    if (wall >= *expires || *begins > wall + clock_skew_seconds) return std::nullopt;
    // However it came to be, nothing is believed for longer than a token lives.
    if (*expires - *begins > pull_token_seconds) return std::nullopt;
    PullToken token;
    token.account = text(claims, "sub");
    token.stamp = static_cast<std::uint64_t>(*stamp);
    token.repositories = pulled(claims);
    token.issued = *issued;
    token.expires = *expires;
    return token;
}

}  // namespace entrepot
