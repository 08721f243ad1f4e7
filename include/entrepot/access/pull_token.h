#pragma once
// What our token endpoint hands out and our registry takes as `Authorization: Bearer`: who somebody is, and for which repositories he asked. It is no right by itself:
// each request is judged by the rules and accounts of its moment, so a right that was taken away ends with the next request and not with the token.

#include "entrepot/base/bytes.h"
#include "entrepot/rules/account.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

/// Signs the tokens of this store; kept in its ledger, so that a restart breaks no pull.
using TokenKey = std::array<std::byte, 32>;
TokenKey make_token_key();

constexpr std::string_view token_service = "entrepot";  ///< the challenge's `service`, the token's `aud`
constexpr std::int64_t pull_token_seconds = 300;
constexpr std::int64_t clock_skew_seconds = 60;  ///< how far a token may come from the future: the wall clock can step back
constexpr std::size_t pull_token_bytes_max = 15 * 1024;  ///< fits a request field
constexpr std::size_t token_repositories_max = 32;       ///< further scopes of one request are left out

struct PullToken {
    std::string account;                    ///< empty: anybody
    std::uint64_t stamp = 0;                ///< of the account when the token was made; see stamp_of
    std::vector<std::string> repositories;  ///< as clients address them
    std::int64_t issued = 0, expires = 0;   ///< wall seconds

    bool names(std::string_view repository) const noexcept;
    friend bool operator==(const PullToken&, const PullToken&) = default;
};

/// Changes when an account's secret does, or when another takes its name: older tokens end then.
std::uint64_t stamp_of(const Account& account) noexcept;

/// A token for this account (null: anybody) from now on.
PullToken make_pull_token(const Account* account, std::vector<std::string> repositories, std::int64_t wall);
std::string sign(const TokenKey& key, const PullToken& token);

/// Nothing unless this key signed it, for us, and its time has begun and not ended.
std::optional<PullToken> verify_pull_token(const TokenKey& key, std::string_view text, std::int64_t wall);

}  // namespace entrepot
