#pragma once
// What all shards share to tell who is asking. The Box owns it.

#include "entrepot/access/login_desk.h"
#include "entrepot/access/pull_token.h"

#include <string>

namespace entrepot {

struct Entrance {
    LoginDesk desk;
    TokenKey key = make_token_key();  ///< the ledger's, from before the first request on
    std::string public_url;           ///< "https://cache.example": where clients reach us; empty: as each request's Host says

    /// The key as a text for the ledger, and back.
    std::string key_text() const;
    bool use_key(std::string_view text) noexcept;
};

constexpr std::string_view token_key_setting = "token-key";

}  // namespace entrepot
