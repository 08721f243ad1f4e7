#include "entrepot/admin/admin.h"

#include "admin/handlers.h"
#include "admin/openapi.h"

namespace entrepot {
namespace {

constexpr std::string_view prometheus_text = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view plain_text = "text/plain";
constexpr std::string_view json_text = "application/json";

}  // namespace

Task<ApiReply> show_alive(ApiCall& call) { co_return ApiReply::page(plain_text, "ok\n" + degraded_line(call.context.metrics)); }

Task<ApiReply> show_ready(ApiCall& call) {
    if (call.context.ready) co_return ApiReply::page(plain_text, "ready\n" + degraded_line(call.context.metrics));
    co_return ApiReply::page(plain_text, "not ready\n", 503);
}

Task<ApiReply> show_metrics(ApiCall& call) { co_return ApiReply::page(prometheus_text, metrics_page(call.context.metrics)); }

Task<ApiReply> show_status(ApiCall& call) {
    co_return ApiReply::page(json_text, status_document(call.context.metrics, call.context.ready));
}

Task<ApiReply> show_description(ApiCall&) { co_return ApiReply::page(json_text, std::string(openapi_document())); }

}  // namespace entrepot
