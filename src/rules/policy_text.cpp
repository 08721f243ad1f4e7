#include "entrepot/rules/policy_text.h"

#include "entrepot/base/units.h"

namespace entrepot {

std::optional<Duration> parse_stale_duration(std::string_view text) noexcept {
    if (text == "never") return Duration(0);
    if (text == "forever") return StalePolicy::forever;
    return parse_duration(text);
}

std::string stale_duration_text(Duration duration) {
    if (duration == Duration(0)) return "never";
    if (duration == StalePolicy::forever) return "forever";
    return duration_text(duration);
}

}  // namespace entrepot
