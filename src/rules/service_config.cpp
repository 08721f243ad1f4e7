#include "entrepot/rules/service_config.h"

#include <algorithm>

namespace entrepot {

bool may_see_identity(const IdentityConfig& config, std::string_view host) noexcept {
    return std::any_of(config.registries.begin(), config.registries.end(), [host](const std::string& entry) {
        if (!entry.starts_with('.')) return host == entry;
        return entry.size() < host.size() && host.ends_with(entry);
    });
}

}  // namespace entrepot
