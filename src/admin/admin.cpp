#include "entrepot/admin/admin.h"

#include "entrepot/net/address.h"

#include <fmt/format.h>
#include <array>

namespace entrepot {
namespace {

constexpr std::size_t head_bytes_max = 512;
constexpr std::string_view prometheus_text = "text/plain; version=0.0.4; charset=utf-8";

/// `message` is one of our own, with nothing in it to escape.
std::string error_body(std::uint16_t status, std::string_view message) {
    return fmt::format("{{\"status\":{},\"message\":\"{}\"}}\n", status, message);
}

}  // namespace

std::string Admin::refuse(std::uint16_t status, std::string_view message) { return error_body(status, message); }

/// Names a browser page of somewhere else could have put there (DNS rebinding) are refused: only addresses and localhost.
bool Admin::host_is_local(const RequestHead& head) const noexcept {
    auto host = head.host;
    auto colon = host.rfind(':');
    if (colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) host = host.substr(0, colon);
    return host.empty() || host == "localhost" || Address::parse(host, 0).has_value();
}

Task<After> Admin::handle(Exchange& exchange) {
    auto& head = exchange.head();
    bool reads = head.method == Method::get || head.method == Method::head;
    if (!reads) {
        exchange.close_after();
        co_return co_await reply(exchange, 405, "application/json", error_body(405, "this address answers GET and HEAD"));
    }
    if (!host_is_local(head))
        co_return co_await reply(exchange, 403, "application/json", error_body(403, "the Host is not an address of this server"));
    if (head.path == "/healthz") co_return co_await reply(exchange, 200, "text/plain", "ok\n");
    if (head.path == "/readyz")
        co_return co_await reply(exchange, ready_ ? 200 : 503, "text/plain", ready_ ? "ready\n" : "not ready\n");
    if (head.path == "/metrics") co_return co_await reply(exchange, 200, prometheus_text, metrics_page(sources_));
    if (head.path == "/api/v1/status")
        co_return co_await reply(exchange, 200, "application/json", status_document(sources_, ready_));
    co_return co_await reply(exchange, 404, "application/json",
                             error_body(404, "there is no such page: try /metrics, /healthz, /readyz or /api/v1/status"));
}

Task<After> Admin::reply(Exchange& exchange, std::uint16_t status, std::string_view media_type, std::string body) {
    std::array<char, head_bytes_max> space;
    HeadWriter writer(space);
    exchange.begin(writer, status);
    auto head = writer.field("Content-Type", media_type)
                    .field("Content-Length", body.size())
                    .prepared("X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n")
                    .finish();
    ASSERT(head);
    auto bytes = exchange.is_head_request() ? Bytes() : bytes_of(body);
    auto sent = co_await exchange.send_last(bytes_of(*head), bytes);
    co_return sent ? exchange.finished() : After::abort;
}

}  // namespace entrepot
