#pragma once
// Credential sets as people see them: references and health, never a secret (the server does not have them to give).

#include "cli/session.h"

namespace entrepot::cli {

/// Name, LoginServer, Username, Password, Health, Created of the first pair; and everything about each pair.
const View& credential_set_view();

}  // namespace entrepot::cli
