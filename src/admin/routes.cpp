#include "admin/handlers.h"
#include "entrepot/base/bytes.h"

namespace entrepot {
namespace {

constexpr std::size_t apply_body_bytes_max = 64 * MiB;  // 100,000 rules of ordinary length take 20 to 60 MiB

// clang-format off
constexpr AdminRoute table[] = {
    // method, path, who may, parameters, body at most, handler
    {Method::get, "/healthz", Access::anybody, "", 0, show_alive},
    {Method::get, "/readyz", Access::anybody, "", 0, show_ready},
    {Method::get, "/metrics", Access::read, "", 0, show_metrics},
    {Method::get, "/api/v1/status", Access::read, "", 0, show_status},
    {Method::get, "/api/v1/openapi.json", Access::read, "", 0, show_description},
    {Method::get, "/api/v1/cache-rules", Access::read, "after limit", 0, list_rules},
    {Method::get, "/api/v1/cache-rules/{name}", Access::read, "", 0, show_rule},
    {Method::put, "/api/v1/cache-rules/{name}", Access::change, "dryRun", api_body_bytes_max, put_rule},
    {Method::patch, "/api/v1/cache-rules/{name}", Access::change, "dryRun", api_body_bytes_max, patch_rule},
    {Method::del, "/api/v1/cache-rules/{name}", Access::change, "dryRun", 0, delete_rule},
    {Method::get, "/api/v1/credential-sets", Access::read, "after limit", 0, list_credential_sets},
    {Method::get, "/api/v1/credential-sets/{name}", Access::read, "", 0, show_credential_set},
    {Method::put, "/api/v1/credential-sets/{name}", Access::change, "dryRun", api_body_bytes_max, put_credential_set},
    {Method::patch, "/api/v1/credential-sets/{name}", Access::change, "dryRun", api_body_bytes_max, patch_credential_set},
    {Method::del, "/api/v1/credential-sets/{name}", Access::change, "dryRun", 0, delete_credential_set},
    {Method::get, "/api/v1/accounts", Access::read, "after limit", 0, list_accounts},
    {Method::get, "/api/v1/accounts/{name}", Access::read, "", 0, show_account},
    {Method::put, "/api/v1/accounts/{name}", Access::change, "dryRun", api_body_bytes_max, put_account},
    {Method::patch, "/api/v1/accounts/{name}", Access::change, "dryRun", api_body_bytes_max, patch_account},
    {Method::del, "/api/v1/accounts/{name}", Access::change, "dryRun", 0, delete_account},
    {Method::post, "/api/v1/credential-sets/{name}/check", Access::change, "", 0, check_credential_set},
    {Method::post, "/api/v1/apply", Access::change, "dryRun prune", apply_body_bytes_max, apply_document},
    {Method::get, "/api/v1/export", Access::read, "", 0, export_document},
    {Method::get, "/api/v1/explain", Access::read, "ns probe reference style", 0, explain_reference},
    {Method::post, "/api/v1/explain", Access::read, "", api_body_bytes_max, explain_what_if},
    {Method::post, "/api/v1/sync", Access::change, "", api_body_bytes_max, sync_tags},
    {Method::post, "/api/v1/purge", Access::change, "dryRun", api_body_bytes_max, purge_content},
};
// clang-format on

}  // namespace

std::span<const AdminRoute> admin_routes() noexcept { return table; }

}  // namespace entrepot
