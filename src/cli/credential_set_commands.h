#pragma once
// `entrepot credential-set create | show | list | update | delete | check`.

#include "cli/command.h"

namespace entrepot::cli {

void declare_credential_set_commands(CommandGroup& commands);

struct CredentialSetOptions {
    std::string name;
    std::optional<std::string> login_server, username, password, secondary_username, secondary_password;
    bool remove_secondary = false, replace = false, dry_run = false;
};

/// The members of the API's document that the options name. `pairs` are the pairs that the set has now, since a change of one half
/// of one pair is written as all pairs; null when there is no set yet.
Outcome<Json> credential_set_changes(const CredentialSetOptions& options, const Json& pairs);

}  // namespace entrepot::cli
