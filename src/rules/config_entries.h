#pragma once
// The tables that stand in the configuration file and in the files of `entrepot apply` alike, read into their values.

#include "entrepot/rules/credential_set.h"
#include "rules/config_section.h"

namespace entrepot {

/// Each notes what is wrong in the section's problem; what the values mean together is checked by their users.
void read_rule_entry(ConfigSection& section, RuleText& rule);
void read_credential_set_entry(ConfigSection& section, CredentialSet& set);
/// The key `login_server` of an upstream or a credential set, as its canonical name.
void read_login_server_key(ConfigSection& section, std::string& login_server);

}  // namespace entrepot
