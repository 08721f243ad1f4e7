#include "entrepot/rules/config_difference.h"

#include <fmt/format.h>

namespace entrepot {

std::vector<std::string> waits_for_restart(const Config& running, const Config& next) {
    std::vector<std::string> waiting;
    const auto compare = [&](bool same, std::string_view setting) {
        if (!same) waiting.emplace_back(setting);
    };
    compare(running.server.listen == next.server.listen, "[server] listen");
    compare(running.server.admin == next.server.admin, "[server] admin");
    compare(running.server.admin_group == next.server.admin_group, "[server] admin_group");
    compare(running.server.public_url == next.server.public_url, "[server] public_url");
    compare(running.server.access_log == next.server.access_log, "[server] access_log");
    compare(running.server.shards == next.server.shards, "[server] shards");
    compare(running.tls == next.tls, "[tls]");
    compare(running.services.vault == next.services.vault, "[vault]");
    compare(running.services.identity == next.services.identity, "[identity]");
    compare(running.store == next.store, "[store]");
    for (const UpstreamConfig& before : running.upstreams) {
        const UpstreamConfig after = next.upstream_of(before.login_server);
        if (!(after == before)) waiting.push_back(fmt::format("[[upstream]] {}", before.login_server));
    }
    return waiting;
}

}  // namespace entrepot
