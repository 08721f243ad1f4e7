#pragma once
// Whether a request may go on, and what it is answered when not. The one place that writes challenges.

#include "registry/call.h"

#include <optional>

namespace entrepot {

/// Where tokens are given: no repository can have this path, since it has no reference.
constexpr std::string_view token_path = "/v2/token";

/// A hash of the address that asks; a /64 of IPv6 counts as one, because whoever has one address of it has all. All that the kernel no longer knows are one.
std::uint64_t source_of(Exchange& exchange);

/// `WWW-Authenticate` with its line end. `scope` may be empty; `error` is empty, "invalid_token" or "insufficient_scope" (RFC 6750 section 3.1).
std::string challenge_line(Exchange& exchange, const Entrance& entrance, std::string_view scope, std::string_view error);

/// Nothing when the visitor may pull; else he was answered. `found` is null when no rule covers the repository; otherwise its source learns whose client asks. The
/// head is still there afterwards.
Task<std::optional<After>> admit(Exchange& exchange, Door door, Routing::Found* found, const RequestTarget& target);

/// Before a request may have to wait among others: tells its source who asks, by address when no account did. Asks the kernel once a connection, so hits do
/// without.
void name_client(Call& call);

/// Who asks, where nothing depends on it but what he sees. An answer when what he showed is not valid.
struct Recognised {
    Visitor visitor;
    std::optional<After> answered;
};
Task<Recognised> recognise(Exchange& exchange, Door door);

/// `/v2/`: 401 with a challenge to whoever shows nothing while there is a rule that is not for everybody, because that is what clients ask to learn how to log in.
Task<After> serve_base(Exchange& exchange, Door door, const RequestTarget& target);

/// 429 or 503 for a visitor whom nobody looked at, or 401 for one who was refused.
Task<After> reply_to_refused(Exchange& exchange, const Visitor& visitor, std::string challenge);

}  // namespace entrepot
