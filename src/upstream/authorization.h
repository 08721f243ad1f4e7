#pragma once
// The value of an Authorization header, and how long it is good. Wiped when destroyed.

#include "entrepot/base/clock.h"
#include "upstream/failure.h"
#include "upstream/secret.h"

#include <string>

namespace entrepot {

struct Authorization {
    std::string header;     ///< "" is none
    std::size_t login = 0;  ///< of its credential, if it is Basic
    Instant made{};         ///< when it was read or given
    Instant until{};

    Authorization() = default;
    Authorization(const Authorization&) = default;
    Authorization(Authorization&&) = default;
    Authorization& operator=(const Authorization&) = default;
    Authorization& operator=(Authorization&&) = default;
    ~Authorization() { wipe(header); }

    bool is_basic() const noexcept { return header.starts_with("Basic "); }
};

using AuthorizationAnswer = Result<Authorization, UpstreamFailure>;

}  // namespace entrepot
