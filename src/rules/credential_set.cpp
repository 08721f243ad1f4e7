#include "entrepot/rules/credential_set.h"

namespace entrepot {

bool is_credential_set_name(std::string_view name, RuleOrigin origin) noexcept { return is_rule_name(name, origin); }

}  // namespace entrepot
