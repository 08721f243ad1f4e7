#pragma once
// One pull request after routing, with everything that must outlive the request head copied out of it.

#include "entrepot/access/doorkeeper.h"
#include "entrepot/access/entrance.h"
#include "entrepot/cache/cache.h"
#include "entrepot/http/range.h"
#include "entrepot/oci/request_target.h"
#include "entrepot/registry/routing.h"
#include "entrepot/server/exchange.h"
#include "entrepot/server/request_counters.h"

namespace entrepot {

/// What it takes to tell who is asking, at the moment of the request. The request's frame keeps the snapshot.
struct Door {
    const Entrance& entrance;
    Doorkeeper& keeper;
    const Routing& routing;
};

struct Call {
    Exchange& exchange;
    Cache& cache;
    RegistryCounters& counters;
    std::shared_ptr<const Routing> routing;  // keeps `rule` alive while a new snapshot comes
    const CacheRule* rule = nullptr;
    Source source;
    std::string ns;  // as it was given, "" when absent
};

// Each answers one request. `target` and the head's views are valid until the exchange's head is released.
Task<After> serve_blob(Call& call, const RequestTarget& target);
Task<After> serve_manifest(Call& call, const RequestTarget& target);
Task<After> serve_tags(Call& call, const RequestTarget& target);
Task<After> serve_referrers(Call& call, const RequestTarget& target);
Task<After> serve_catalog(Exchange& exchange, Cache& cache, Door door, const RequestTarget& target);

}  // namespace entrepot
