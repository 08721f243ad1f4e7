#pragma once
// Which line of the table a path and a method mean.

#include "entrepot/admin/route.h"

#include <string>

namespace entrepot {

struct FoundRoute {
    const AdminRoute* route = nullptr;  ///< null: no such path, or not with this method
    std::string_view name;              ///< what stands for {name}, still percent-encoded; a view into the path
    std::string allow;                  ///< the methods that the path knows, "GET, HEAD, PUT"; empty: no such path
};

/// Linear in the table, which has a few dozen lines. HEAD finds what GET does, unless it has a line of its own.
FoundRoute find_route(std::span<const AdminRoute> routes, Method method, std::string_view path);

}  // namespace entrepot
