#include "admin/handlers.h"

namespace entrepot {
namespace {

// clang-format off
constexpr AdminRoute table[] = {
    // method, path, who may, parameters, body at most, handler
    {Method::get, "/healthz", Access::anybody, "", 0, show_alive},
    {Method::get, "/readyz", Access::anybody, "", 0, show_ready},
    {Method::get, "/metrics", Access::read, "", 0, show_metrics},
    {Method::get, "/api/v1/status", Access::read, "", 0, show_status},
};
// clang-format on

}  // namespace

std::span<const AdminRoute> admin_routes() noexcept { return table; }

}  // namespace entrepot
