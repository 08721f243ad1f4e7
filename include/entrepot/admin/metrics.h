#pragma once
// The Prometheus text page: adds up what the shards counted. Counters are read while their owners write; each is exact by itself, a page is not one instant.

#include "entrepot/access/login_desk.h"
#include "entrepot/cache/counters.h"
#include "entrepot/io/watchdog.h"
#include "entrepot/server/connection.h"
#include "entrepot/server/request_counters.h"
#include "entrepot/store/store.h"
#include "entrepot/upstream/upstream.h"

#include <string>
#include <vector>

namespace entrepot {

/// Where the numbers live. Everything outlives the admin listener.
struct MetricSources {
    struct ShardSources {
        const Loop* loop;
        const CacheCounters* cache;
        const RegistryCounters* registry;
        const Connections* connections;
        const BufferPool* buffers;
        const AccessLog* access_log;  ///< null: none is written
    };
    std::vector<ShardSources> shards;
    const Store::Counters* store = nullptr;
    std::vector<const DiskHealth*> disks;
    const UpstreamTable* upstreams = nullptr;
    const LoginDesk::Counters* logins = nullptr;
    const Watchdog* watchdog = nullptr;  ///< null: nobody looks
    Instant started{};
    std::string version;
};

std::string metrics_page(const MetricSources& sources);
/// One line without names of places, as whoever asks for the health may not know them; empty when all is well.
std::string degraded_line(const MetricSources& sources);
/// The same in short, as JSON: what `entrepot status` shows.
std::string status_document(const MetricSources& sources, bool ready);

}  // namespace entrepot
