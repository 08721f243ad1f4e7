#pragma once
// `entrepot cache explain`: which rule serves a reference, and what is known about it.

#include "cli/command.h"

namespace entrepot::cli {

void declare_explain_command(CommandGroup& cache);

/// "docker.io/*=>hub/*", source first as in the other options: a rule that does not exist yet, as the API takes it.
Outcome<Json> rule_of(const std::string& text);

}  // namespace entrepot::cli
