#include "entrepot/admin/admin.h"

#include "admin/handlers.h"
#include "admin/openapi.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr std::string_view prometheus_text = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view plain_text = "text/plain";
constexpr std::string_view json_text = "application/json";

}  // namespace

Task<ApiReply> show_alive(ApiCall& call) { co_return ApiReply::page(plain_text, "ok\n" + degraded_line(call.context.metrics)); }

Task<ApiReply> show_ready(ApiCall& call) {
    if (!call.context.ready) co_return ApiReply::page(plain_text, "not ready\n", 503);
    // The kernel goes on giving a share of the new connections to a shard that does not turn: who can should go elsewhere.
    auto& shards = call.context.metrics.shards;
    for (std::size_t shard = 0; shard < shards.size(); ++shard) {
        if (!shards[shard].loop->away()) continue;
        auto seconds = shards[shard].loop->away_ns.load(std::memory_order_relaxed) / 1'000'000'000;
        co_return ApiReply::page(plain_text, fmt::format("not ready: shard {} has not turned for {} s\n", shard, seconds), 503);
    }
    co_return ApiReply::page(plain_text, "ready\n" + degraded_line(call.context.metrics));
}

Task<ApiReply> show_metrics(ApiCall& call) { co_return ApiReply::page(prometheus_text, metrics_page(call.context.metrics)); }

Task<ApiReply> show_status(ApiCall& call) {
    co_return ApiReply::page(json_text, status_document(call.context.metrics, call.context.ready));
}

Task<ApiReply> show_description(ApiCall&) { co_return ApiReply::page(json_text, std::string(openapi_document())); }

}  // namespace entrepot
