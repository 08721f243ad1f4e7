#pragma once
// The answer to `cache explain` as a walk that people can read: which rule, why, from where, whether somebody may, what is stored.

#include "cli/json.h"
#include "cli/table.h"

namespace entrepot::cli {

std::string explanation_text(const Json& answer, bool utf8);
/// Reference, Rule, Source, LoginServer, Tag, Digest: one row.
Table explanation_table(const Json& answer);

}  // namespace entrepot::cli
