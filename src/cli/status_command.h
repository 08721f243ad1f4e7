#pragma once
// `entrepot status`.

#include "cli/command.h"

namespace entrepot::cli {

void declare_status_command(CommandGroup& commands);

}  // namespace entrepot::cli
