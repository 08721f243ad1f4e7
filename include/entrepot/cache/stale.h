#pragma once
// When an old answer may stand in for one that upstream did not give. A rule says for each kind of failure how old the last confirmation may be. Pure.

#include "entrepot/base/result.h"
#include "entrepot/rules/cache_rule.h"

namespace entrepot {

enum class FailureClass : std::uint8_t {
    network,       ///< no answer: name, connection, TLS, time-out, or one that cannot be read
    server_error,  ///< 5xx
    rate_limit,    ///< 429, and our own care for what is left of a rate limit or for how much is asked at once
    denied,        ///< 401, 403, or no login of ours to ask with
    missing,       ///< 404
};
std::string_view name_of(FailureClass failure) noexcept;

FailureClass class_of(const Error& error) noexcept;

/// For how much longer an answer that upstream confirmed `age` ago may be served; zero: not at all. An age below zero comes from a clock that was wrong then or is
/// now, and counts by its length.
Duration stale_left(const StalePolicy& policy, FailureClass failure, Duration age) noexcept;

}  // namespace entrepot
