#pragma once
// The admin listener: health, readiness, metrics, and the API (include/entrepot/admin/route.h says how its table is made). It shares nothing with the registry listener but
// the way connections are served. It answers one request in these steps, and the first that refuses ends it:
//
//   who asks may do so, from this page (src/admin/gate.h) ──> path and method are in the table ──> query ──> body ──> handler ──> answer

#include "entrepot/admin/admin_token.h"
#include "entrepot/admin/metrics.h"
#include "entrepot/admin/route.h"
#include "entrepot/cache/purge.h"
#include "entrepot/control/control.h"
#include "entrepot/io/await.h"
#include "entrepot/server/exchange.h"

namespace entrepot {

/// What handlers work with. Everything outlives the admin listener.
struct AdminContext {
    MetricSources metrics;
    Control* control = nullptr;
    Upstreams* upstreams = nullptr;  ///< of the shard that serves this listener
    Cache* cache = nullptr;          ///< of that shard too
    Purge* purge = nullptr;
    AdminToken* token = nullptr;        ///< null: nobody changes anything over TCP
    std::optional<gid_t> socket_group;  ///< whose members may change things over the Unix socket
    bool ready = false;                 ///< the server serves: /readyz
};

class Admin final : public RequestHandler {
  public:
    explicit Admin(AdminContext context, std::span<const AdminRoute> routes = admin_routes());
    ~Admin() override;

    Task<After> handle(Exchange& exchange) override;
    std::string refuse(std::uint16_t status, std::string_view message) override;

    /// Until then, and again from the shutdown on, /readyz says 503.
    void set_ready(bool ready) noexcept { context_.ready = ready; }

  private:
    struct Question;
    Task<std::optional<ApiReply>> answer(Exchange& exchange, Question& question);
    Task<std::optional<ApiReply>> find_answer(Exchange& exchange, Question& question, Peer peer);
    Task<std::optional<ApiReply>> call_handler(Exchange& exchange, Question& question, const AdminRoute& route, ApiCall& call);
    Task<Result<nlohmann::json, ApiReply>> read_document(Exchange& exchange, Question& question, std::size_t bytes_max);
    Task<After> send(Exchange& exchange, ApiReply& reply);

    static constexpr std::size_t large_bodies_max = 2, large_bodies_waiting_max = 16;

    AdminContext context_;
    std::span<const AdminRoute> routes_;
    std::unique_ptr<class Gate> gate_;
    Semaphore large_bodies_{large_bodies_max, large_bodies_waiting_max};
};

}  // namespace entrepot
