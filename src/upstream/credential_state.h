#pragma once
// What is learned about a credential while it is used. Any thread.

#include "entrepot/upstream/credential.h"
#include "upstream/login_record.h"
#include "upstream/rate_limit.h"

namespace entrepot {

struct CredentialState {
    explicit CredentialState(std::size_t logins_count) noexcept : logins(logins_count) {}

    RateLimit limit;
    LoginRecord logins;
};

inline std::uint64_t id_of(const CredentialPointer& credential) noexcept { return credential ? credential->id() : 0; }

/// How many credentials have ended. Whoever keeps something by their ids looks for what is left of them when this has moved.
std::uint64_t credentials_ended() noexcept;

}  // namespace entrepot
