#include "entrepot/registry/routing.h"

#include <fmt/format.h>

namespace entrepot {

Result<std::shared_ptr<const Routing>, std::string> Routing::make(RuleTable rules, const UpstreamTable& upstreams,
                                                                  const Credentials& credentials) {
    std::vector<Way> ways;
    ways.reserve(rules.rules().size());
    for (auto& shared : rules.rules()) {
        auto& rule = *shared;
        Way way{upstreams.find(rule.login_server()), nullptr};
        if (!way.upstream)
            return fmt::format("cache rule '{}': no upstream is known for login server '{}'", rule.name(), rule.login_server());
        if (!rule.credential_set().empty()) {
            auto known = credentials.find(rule.credential_set());
            if (known == credentials.end())
                return fmt::format("cache rule '{}': there is no credential set '{}'", rule.name(), rule.credential_set());
            way.credential = known->second;
        }
        ways.push_back(std::move(way));
    }
    return std::shared_ptr<const Routing>(new Routing(std::move(rules), std::move(ways)));
}

std::optional<Routing::Found> Routing::find(std::string_view repository, std::string_view ns) const {
    RouteBuffer buffer;
    auto route = rules_.find(repository, ns, buffer);
    if (!route) return std::nullopt;
    auto& way = ways_[route->number];
    Found found;
    found.rule = route->rule;
    found.source = make_source(*way.upstream, way.credential, route->repository, route->rule->tag_ttl());
    found.source.stale_if_denied = route->rule->text().stale.denied > Duration::zero();
    found.source.stale_if_missing = route->rule->text().stale.missing > Duration::zero();
    return found;
}

}  // namespace entrepot
