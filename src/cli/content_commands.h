#pragma once
// `entrepot cache sync | purge`: what the rules have stored.

#include "cli/command.h"

namespace entrepot::cli {

void declare_content_commands(CommandGroup& cache);

}  // namespace entrepot::cli
