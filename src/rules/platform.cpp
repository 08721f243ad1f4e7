#include "entrepot/rules/platform.h"

#include "entrepot/base/lower_case.h"

#include <algorithm>

namespace entrepot {
namespace {

/// What the architecture without a variant means; empty when it has none.
std::string_view usual_variant(std::string_view architecture) noexcept {
    if (architecture == "arm64") return "v8";
    if (architecture == "arm") return "v7";
    return architecture == "amd64" ? "v1" : "";
}

}  // namespace

Platform Platform::of(std::string_view os, std::string_view architecture, std::string_view variant) {
    Platform platform{lower_case(os), lower_case(architecture), lower_case(variant)};
    auto& machine = platform.architecture;
    if (machine == "x86_64" || machine == "x86-64") machine = "amd64";
    else if (machine == "aarch64") machine = "arm64";
    else if (machine == "armhf") machine = "arm";
    else if (machine == "armel") {
        machine = "arm";
        platform.variant = "v6";
    }
    if (!platform.variant.empty() && platform.variant.front() >= '0' && platform.variant.front() <= '9')
        platform.variant.insert(0, "v");
    return platform;
}

Platform Platform::parse(std::string_view text) {
    auto first = std::min(text.find('/'), text.size());
    auto rest = text.substr(std::min(first + 1, text.size()));
    auto second = std::min(rest.find('/'), rest.size());
    return of(text.substr(0, first), rest.substr(0, second), rest.substr(std::min(second + 1, rest.size())));
}

bool Platform::covers(const Platform& other) const noexcept {
    if (os != other.os || architecture != other.architecture) return false;
    if (variant.empty()) return true;
    auto theirs = other.variant.empty() ? usual_variant(other.architecture) : std::string_view(other.variant);
    return variant == theirs;
}

std::string Platform::text() const {
    auto result = os + '/' + architecture;
    if (!variant.empty()) result.append(1, '/').append(variant);
    return result;
}

}  // namespace entrepot
