#pragma once
// Our face: the pull side of the OCI distribution-spec 1.1, for one shard. It turns a request into a Source by rule, asks the cache, and sends. It opens no file and knows
// no upstream's wire.

#include "entrepot/access/doorkeeper.h"
#include "entrepot/access/entrance.h"
#include "entrepot/cache/cache.h"
#include "entrepot/oci/request_target.h"
#include "entrepot/registry/routing.h"
#include "entrepot/server/exchange.h"
#include "entrepot/server/request_counters.h"

namespace entrepot {

class Registry final : public RequestHandler {
  public:
    Registry(Cache& cache, std::shared_ptr<const Routing> routing, RegistryCounters& counters, Entrance& entrance)
        : cache_(cache), routing_(std::move(routing)), counters_(counters), entrance_(entrance),
          doorkeeper_(entrance.desk, entrance.key) {}

    Task<After> handle(Exchange& exchange) override;
    std::string refuse(std::uint16_t status, std::string_view message) override;

    /// A new snapshot for requests from now on; running ones keep theirs.
    void use(std::shared_ptr<const Routing> routing) noexcept { routing_ = std::move(routing); }

  private:
    Task<After> route(Exchange& exchange, RequestKind& kind);
    void count(RequestKind kind, std::uint16_t status) noexcept;

    Cache& cache_;
    std::shared_ptr<const Routing> routing_;
    RegistryCounters& counters_;
    Entrance& entrance_;
    Doorkeeper doorkeeper_;
};

}  // namespace entrepot
