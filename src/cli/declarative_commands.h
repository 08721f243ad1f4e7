#pragma once
// `entrepot apply FILE` and `entrepot export`: rules and credential sets as one file.

#include "cli/command.h"

namespace entrepot::cli {

void declare_declarative_commands(CommandGroup& commands);

/// What POST /api/v1/apply takes, of the text of a file: JSON when its first character is '{', else TOML.
Outcome<Json> apply_document(const std::string& text, const std::string& file);

/// The TOML of what GET /api/v1/export gives.
Outcome<std::string> exported_toml(const Json& document);

}  // namespace entrepot::cli
