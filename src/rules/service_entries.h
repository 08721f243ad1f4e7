#pragma once
// The tables [vault] and [identity] of the configuration file, read into their values.

#include "entrepot/rules/service_config.h"
#include "rules/config_section.h"

namespace entrepot {

void read_vault(ConfigSection section, VaultConfig& vault);
void read_identity(ConfigSection section, IdentityConfig& identity);

}  // namespace entrepot
