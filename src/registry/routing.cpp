#include "entrepot/registry/routing.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {

Result<std::shared_ptr<const Routing>, std::string> Routing::make(RuleTable rules, const UpstreamTable& upstreams,
                                                                  const Credentials& credentials,
                                                                  std::shared_ptr<const AccountTable> accounts) {
    std::vector<Way> ways;
    ways.reserve(rules.rules().size());
    for (auto& shared : rules.rules()) {
        auto& rule = *shared;
        Way way{upstreams.find(rule.login_server()), nullptr, rule.text().anonymous()};
        if (!way.upstream)
            return fmt::format("cache rule '{}': no upstream is known for login server '{}'", rule.name(), rule.login_server());
        if (rule.text().private_source()) {
            auto name = credential_name_of(rule.text(), rule.login_server());
            auto known = credentials.find(name);
            if (known == credentials.end())
                return fmt::format("cache rule '{}': there is no credential set '{}'", rule.name(), name);
            way.credential = known->second;
        }
        ways.push_back(std::move(way));
    }
    return std::shared_ptr<const Routing>(new Routing(std::move(rules), std::move(ways), std::move(accounts)));
}

Routing::Routing(RuleTable rules, std::vector<Way> ways, std::shared_ptr<const AccountTable> accounts)
    : rules_(std::move(rules)), ways_(std::move(ways)), accounts_(std::move(accounts)) {
    ASSERT(accounts_);
    for (auto& way : ways_) anonymous_ = anonymous_ && way.anonymous;
    if (anonymous_) return;
    for (std::size_t number = 0; number < ways_.size(); ++number)
        by_login_server_[rules_.rules()[number]->login_server()].push_back(number);
}

std::optional<Routing::Found> Routing::find(std::string_view repository, std::string_view ns) const {
    RouteBuffer buffer;
    auto route = rules_.find(repository, ns, buffer);
    if (!route) return std::nullopt;
    return found_by(route->number, route->repository);
}

Routing::Found Routing::found_by(std::size_t number, std::string_view repository) const {
    auto& way = ways_[number];
    Found found;
    found.rule = rules_.rules()[number].get();
    found.anonymous = way.anonymous;
    found.source = make_source(*way.upstream, way.credential, repository, found.rule->tag_ttl());
    found.source.stale = found.rule->text().stale;
    found.source.freshness = found.rule->freshness();
    return found;
}

const UpstreamSpec* Routing::find_upstream(std::string_view login_server) const noexcept {
    for (auto& way : ways_) {
        if (way.upstream->login_server == login_server) return way.upstream;
    }
    return nullptr;
}

std::optional<Routing::Found> Routing::find_source(std::string_view name, std::string_view upstream_repository) const {
    auto* rule = rules_.find_by_name(name);
    if (!rule) return std::nullopt;
    auto& all = rules_.rules();
    auto place = std::find_if(all.begin(), all.end(), [rule](auto& one) { return one.get() == rule; });
    return found_by(static_cast<std::size_t>(place - all.begin()), upstream_repository);
}

std::vector<Routing::Found> Routing::find_all_by_source(std::string_view login_server, std::string_view repository,
                                                        std::size_t count_max) const {
    std::vector<Found> found;
    auto numbers = by_login_server_.find(login_server);
    if (numbers == by_login_server_.end()) return found;
    for (auto number : numbers->second) {
        auto& rule = *rules_.rules()[number];
        bool covers = rule.wildcard()
                          ? repository.size() > rule.source_path().size() && repository.starts_with(rule.source_path())
                          : repository == rule.source_path();
        if (covers) found.push_back(found_by(number, repository));
        if (found.size() == count_max) break;
    }
    return found;
}

std::vector<const CacheRule*> Routing::find_holding(std::string_view login_server, std::string_view path,
                                                    const std::set<std::string>& scopes) const {
    // Of a wildcard the path ends in '/', or is empty; of a repository never.
    auto is_prefix = [](std::string_view one) { return one.empty() || one.ends_with('/'); };
    auto covers = [&](std::string_view one, std::string_view other) {
        return is_prefix(one) ? other.starts_with(one) : one == other;
    };
    std::vector<const CacheRule*> holding;
    for (std::size_t number = 0; number < ways_.size(); ++number) {
        auto& rule = *rules_.rules()[number];
        if (rule.login_server() != login_server) continue;
        bool same_rights = scopes.contains(ways_[number].credential ? ways_[number].credential->scope() : std::string());
        if (same_rights && (covers(rule.source_path(), path) || covers(path, rule.source_path()))) holding.push_back(&rule);
    }
    return holding;
}

std::string target_repository(const CacheRule& rule, std::string_view source_repository) {
    if (!rule.wildcard()) return std::string(rule.target_path());
    auto rest = source_repository;
    rest.remove_prefix(std::min(rest.size(), rule.source_path().size()));
    return std::string(rule.target_path()).append(rest);
}

}  // namespace entrepot
