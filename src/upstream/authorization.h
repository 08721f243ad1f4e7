#pragma once
// The value of an Authorization header, and how long it is good. Wiped when destroyed.

#include "entrepot/base/clock.h"
#include "upstream/failure.h"
#include "upstream/secret.h"

#include <string>

namespace entrepot {

struct Authorization {
    std::string header;  ///< "" is none
    Instant made{};      ///< when it was read or given
    Instant until{};

    Authorization() = default;
    Authorization(const Authorization&) = default;
    Authorization(Authorization&&) = default;
    Authorization& operator=(const Authorization&) = default;
    Authorization& operator=(Authorization&&) = default;
    ~Authorization() { wipe(header); }
};

using AuthorizationAnswer = Result<Authorization, UpstreamFailure>;

}  // namespace entrepot
