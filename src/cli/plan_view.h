#pragma once
// What a change does or would do, as an aligned list: + created, ~ changed, - deleted, = unchanged.

#include "cli/session.h"

namespace entrepot::cli {

/// Shows the `entries` ("plan" or "wouldChange") of the server's `document`. `done`: it has happened.
Outcome<void> show_plan(const Session& session, const Json& document, const Json& entries, bool done);

/// What differs between two documents in what a client may write: "tagTtl: 60s -> 5m; pull: alice -> alice, bob".
std::string difference(const Json& before, const Json& after);

}  // namespace entrepot::cli
