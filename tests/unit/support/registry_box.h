#pragma once
// A registry listener over a real store and fake upstreams: clients speak HTTP to it over loopback.

#include "entrepot/registry/registry.h"

#include "support/cache_box.h"
#include "support/raw_client.h"

namespace entrepot {

struct RegistryBox : CacheBox {
    explicit RegistryBox(RuleText rule = hub_rule(), const std::string& directory = {})
        : CacheBox(directory), registry(cache, make_routing(std::move(rule)), served, entrance), port(loop(), registry) {
        entrance.desk.set_home(*loop());
    }

    static RuleText hub_rule() {
        RuleText hub;
        hub.name = "hub";
        hub.source = "registry.test/*";
        hub.target = "hub/*";
        return hub;
    }
    std::shared_ptr<const Routing> make_routing(RuleText hub) {
        auto table = RuleTable::build({hub}, {});
        if (!table) FAIL(table.error().message);
        auto routing = Routing::make(*std::move(table), upstream_table, {}, AccountTable::empty());
        if (!routing) FAIL(routing.error());
        return *std::move(routing);
    }
    /// The source that requests for hub/<repository> have.
    Source routed(std::string_view repository) { return make_source(upstream_table.at(0), nullptr, repository, seconds(60)); }
    void until_stored(const std::string& blob, std::string_view repository = "app") {
        loop().run_until([&] { return cache.running_fetches() == 0 && granted(routed(repository), digest_of(blob)); });
    }
    std::string blob_path(const std::string& blob, std::string_view repository = "app") {
        return "GET /v2/hub/" + std::string(repository) + "/blobs/" + digest_of(blob).text();
    }

    FakeUpstreamTable upstream_table{{"registry.test"}};
    RegistryCounters served;
    Entrance entrance;
    Registry registry;
    ServedPort port;
};

}  // namespace entrepot
