#include "admin/router.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::string_view placeholder = "{name}";

/// Does the path have the pattern's form? A placeholder takes one segment that is not empty.
bool matches(std::string_view pattern, std::string_view path, std::string_view& name) {
    auto at = pattern.find(placeholder);
    name = {};
    if (at == std::string_view::npos) return pattern == path;
    auto rest = pattern.substr(at + placeholder.size());
    if (path.size() <= at + rest.size() || path.substr(0, at) != pattern.substr(0, at) || !path.ends_with(rest)) return false;
    name = path.substr(at, path.size() - at - rest.size());
    return name.find('/') == std::string_view::npos;
}

void add_method(std::string& allow, std::string_view method) {
    if (!allow.empty()) allow += ", ";
    allow += method;
}

}  // namespace

FoundRoute find_route(std::span<const AdminRoute> routes, Method method, std::string_view path) {
    auto wanted = method == Method::head ? Method::get : method;
    FoundRoute found;
    // A literal path is meant before a placeholder that would take it.
    bool literal_only = std::any_of(routes.begin(), routes.end(), [&](auto& route) { return route.path == path; });
    for (auto& route : routes) {
        std::string_view name;
        if (literal_only ? route.path != path : !matches(route.path, path, name)) continue;
        add_method(found.allow, name_of(route.method));
        if (route.method == Method::get) add_method(found.allow, "HEAD");
        if (route.method != wanted) continue;
        found.route = &route;
        found.name = name;
    }
    return found;
}

}  // namespace entrepot
