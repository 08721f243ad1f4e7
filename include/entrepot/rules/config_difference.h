#pragma once
// What a running server can take over from a file that was read again, and what waits for a restart. Pure.

#include "entrepot/rules/config.h"

#include <string>
#include <vector>

namespace entrepot {

/// Settings whose new value takes effect at a restart only, as people write them: "[server] listen", "[[upstream]] quay.io". Rules, credential sets, new upstreams, the default
/// login server, the options of rules and the log level are not among them.
std::vector<std::string> waits_for_restart(const Config& running, const Config& next);

}  // namespace entrepot
