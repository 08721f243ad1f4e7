#pragma once
// `entrepot account create | show | list | update | delete` and `entrepot token create | list | delete`: who may pull.

#include "cli/command.h"

namespace entrepot::cli {

void declare_account_commands(CommandGroup& commands);

/// "2026-12-31T00:00:00Z" as it is, or so long from `wall` on: "30d". Empty when it is neither.
std::string expiry_of(const std::string& text, std::int64_t wall);

}  // namespace entrepot::cli
