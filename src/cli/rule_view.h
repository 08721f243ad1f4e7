#pragma once
// Cache rules as people see them.

#include "cli/session.h"

namespace entrepot::cli {

/// Name, Source, Target, Credentials, State, Created; and a rule's policies.
const View& rule_view();

}  // namespace entrepot::cli
