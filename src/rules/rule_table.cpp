#include "entrepot/rules/rule_table.h"

#include "entrepot/base/assert.h"
#include "entrepot/base/random.h"
#include "entrepot/rules/known_registries.h"

#include "rules/overlap.h"
#include "rules/rule_index.h"
#include "rules/rule_records.h"

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bitset>
#include <cstring>

namespace entrepot {

namespace {

// A wildcard's depth is the number of '/' in its prefix: 0 for `*`, 1 for `hub/*`. A path of 255 bytes has at most 127.
constexpr std::size_t depth_max = repository_bytes_max / 2;
using Depths = std::bitset<depth_max + 1>;

std::size_t depth_of(std::string_view prefix) noexcept {
    std::size_t depth = 0;
    for (const char character : prefix) depth += character == '/';
    return depth;
}

std::uint64_t hash_of(std::string_view key, std::uint64_t seed) noexcept {
    return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

bool maps_one_to_one(const CacheRule& rule) noexcept { return rule.target() == rule.source(); }

// The prefixes of `path` that end with a '/', and "", longest first, as far as some rule has that depth.
class Prefixes {
  public:
    Prefixes(std::string_view path, const Depths& depths) noexcept : path_(path) {
        if (depths[0]) ends_[count_++] = 0;
        std::size_t depth = 0;
        for (std::size_t at = 0; at < path.size() && depth < depth_max; ++at) {
            if (path[at] == '/' && depths[++depth]) ends_[count_++] = static_cast<std::uint8_t>(at + 1);
        }
    }
    bool next(std::string_view& prefix) noexcept {
        if (count_ == 0) return false;
        prefix = path_.substr(0, ends_[--count_]);
        return true;
    }

  private:
    static_assert(repository_bytes_max <= UINT8_MAX);
    std::string_view path_;
    std::array<std::uint8_t, depth_max + 1> ends_;
    std::size_t count_ = 0;
};

}  // namespace

// Keys are the rules' own texts: a wildcard's ends with '/' (or is empty), a static rule's never does, so both share a table.
struct RuleTable::Index {
    RuleList rules;
    Options options;
    std::uint64_t seed = hash_seed();
    RuleRecords records;
    RuleIndex by_name;               // leads to rule numbers
    RuleIndex by_target, by_source;  // lead to places of records
    Depths target_depths, source_depths;
    std::vector<std::string> warnings;

    // Building, in this order for each rule. A refusal is of rule number `rule`.
    std::optional<RuleRefusal> add_name(std::uint32_t rule);
    std::optional<RuleRefusal> add_target(std::uint32_t rule, std::uint32_t place);
    void add_source(std::uint32_t rule, std::uint32_t place);
    void warn(std::uint32_t rule);
    std::optional<RuleRefusal> check_overlap(std::uint32_t rule) const;

    // Look-up by exact keys.
    std::optional<std::uint32_t> find_name(std::string_view name) const noexcept;
    std::optional<RuleRecord> find_target(std::string_view target_path) const noexcept;
    std::optional<std::uint32_t> place_of_source(std::string_view login_server, std::string_view source_path) const noexcept;
    std::uint64_t source_hash(std::string_view login_server, std::string_view source_path) const noexcept {
        return hash_of(source_path, hash_of(login_server, seed));
    }

    // Look-up of what covers a path.
    void prefetch_targets(std::string_view path) const noexcept;
    void prefetch_sources(std::string_view login_server, std::string_view path) const noexcept;
    std::optional<RuleRecord> covering_target(std::string_view path, std::string_view login_server) const noexcept;
    std::optional<RuleRecord> covering_source(std::string_view login_server, std::string_view path) const noexcept;
    std::optional<Route> route_by_target(const RuleRecord& record, std::string_view path, RouteBuffer& buffer) const noexcept;
};

std::optional<std::uint32_t> RuleTable::Index::find_name(std::string_view name) const noexcept {
    return by_name.find(hash_of(name, seed), [&](std::uint32_t rule) { return rules[rule]->name() == name; });
}

std::optional<RuleRecord> RuleTable::Index::find_target(std::string_view target_path) const noexcept {
    const auto has_key = [&](std::uint32_t place) { return records.at(place).target_path == target_path; };
    const auto place = by_target.find(hash_of(target_path, seed), has_key);
    if (!place) return std::nullopt;
    return records.at(*place);
}

std::optional<std::uint32_t> RuleTable::Index::place_of_source(std::string_view login_server,
                                                               std::string_view source_path) const noexcept {
    return by_source.find(source_hash(login_server, source_path), [&](std::uint32_t place) {
        const RuleRecord record = records.at(place);
        return record.source_path == source_path && record.login_server == login_server;
    });
}

std::optional<RuleRefusal> RuleTable::Index::add_name(std::uint32_t rule) {
    const std::string& name = rules[rule]->name();
    if (const auto other = find_name(name)) {
        return RuleRefusal{
            rule, *other,
            fmt::format("two cache rules are named \"{}\": {} => {}, and {} => {}; rename one or delete one", name,
                        rules[*other]->source(), rules[*other]->target(), rules[rule]->source(), rules[rule]->target())};
    }
    by_name.insert(hash_of(name, seed), rule);
    return std::nullopt;
}

std::optional<RuleRefusal> RuleTable::Index::add_target(std::uint32_t rule, std::uint32_t place) {
    const CacheRule& added = *rules[rule];
    if (const auto record = find_target(added.target_path())) {
        const CacheRule& other = *rules[record->rule];
        return RuleRefusal{rule, record->rule, same_target(added, other)};
    }
    by_target.insert(hash_of(added.target_path(), seed), place);
    if (added.wildcard()) target_depths.set(depth_of(added.target_path()));
    return std::nullopt;
}

// All targets are in the index already, so it does not matter which of two overlapping rules came first: the inner one finds
// the outer one among its prefixes.
std::optional<RuleRefusal> RuleTable::Index::check_overlap(std::uint32_t rule) const {
    const CacheRule& inner = *rules[rule];
    if (!inner.wildcard() && !options.strict_overlap) return std::nullopt;
    std::string_view path = inner.target_path();
    if (path.empty()) return std::nullopt;
    if (inner.wildcard()) path.remove_suffix(1);  // its own prefix is no overlap
    Prefixes prefixes(path, target_depths);
    for (std::string_view prefix; prefixes.next(prefix);) {
        const auto outer = find_target(prefix);
        if (!outer) continue;
        return RuleRefusal{std::max(rule, outer->rule), std::min(rule, outer->rule), lies_inside(inner, *rules[outer->rule])};
    }
    return std::nullopt;
}

void RuleTable::Index::add_source(std::uint32_t rule, std::uint32_t place) {
    const CacheRule& added = *rules[rule];
    const std::uint64_t hash = source_hash(added.login_server(), added.source_path());
    const auto before = place_of_source(added.login_server(), added.source_path());
    if (!before) {
        by_source.insert(hash, place);
        if (added.wildcard()) source_depths.set(depth_of(added.source_path()));
        return;
    }
    const CacheRule& other = *rules[records.at(*before).rule];
    const bool better = maps_one_to_one(added) && !maps_one_to_one(other);
    if (better) by_source.replace(hash, *before, place);
    if (warnings.size() == warnings_max) return;
    const CacheRule& winner = better ? added : other;
    warnings.push_back(
        fmt::format("cache rules {} and {} have one source: requests that name the login server and no target use \"{}\"",
                    mapping_of(winner), mapping_of(better ? other : added), winner.name()));
}

void RuleTable::Index::warn(std::uint32_t rule) {
    const CacheRule& added = *rules[rule];
    const bool library = added.wildcard() && added.login_server() == "docker.io" && added.source_path() == "library/";
    if (!library || added.target_path().ends_with("library/") || warnings.size() == warnings_max) return;
    warnings.push_back(fmt::format(
        "cache rule {} reaches Docker's official images only: {}someone/app would be docker.io/library/someone/app, which "
        "does not exist; with the source docker.io/* it reaches everybody's, and still finds official ones by their short names",
        mapping_of(added), added.target_path()));
}

// The slots that a look-up is going to visit lie all over the table. Asking for all of them first makes the waits one.
void RuleTable::Index::prefetch_targets(std::string_view path) const noexcept {
    by_target.prefetch(hash_of(path, seed));
    Prefixes prefixes(path, target_depths);
    for (std::string_view prefix; prefixes.next(prefix);) by_target.prefetch(hash_of(prefix, seed));
}

void RuleTable::Index::prefetch_sources(std::string_view login_server, std::string_view path) const noexcept {
    by_source.prefetch(source_hash(login_server, path));
    Prefixes prefixes(path, source_depths);
    for (std::string_view prefix; prefixes.next(prefix);) by_source.prefetch(source_hash(login_server, prefix));
}

// Exact before wildcard; `login_server` empty: any. At most one wildcard covers a path, so the order of prefixes is free.
std::optional<RuleRecord> RuleTable::Index::covering_target(std::string_view path, std::string_view login_server) const noexcept {
    const auto serves = [&](const RuleRecord& record) { return login_server.empty() || record.login_server == login_server; };
    if (const auto exact = find_target(path); exact && serves(*exact)) return exact;
    Prefixes prefixes(path, target_depths);
    for (std::string_view prefix; prefixes.next(prefix);) {
        const auto record = find_target(prefix);
        if (record) return serves(*record) ? record : std::nullopt;
    }
    return std::nullopt;
}

std::optional<RuleRecord> RuleTable::Index::covering_source(std::string_view login_server, std::string_view path) const noexcept {
    auto place = place_of_source(login_server, path);
    Prefixes prefixes(path, source_depths);
    for (std::string_view prefix; !place && prefixes.next(prefix);) place = place_of_source(login_server, prefix);
    if (!place) return std::nullopt;
    return records.at(*place);
}

namespace {

// `prefix` and `rest` as one name. Where nothing has to be put together the result is a view of what is there.
std::optional<std::string_view> joined(std::string_view prefix, std::string_view rest, RouteBuffer& buffer) noexcept {
    if (prefix.empty()) return rest;
    if (rest.empty()) return prefix;
    if (prefix.size() + rest.size() > buffer.size()) return std::nullopt;
    std::memcpy(buffer.data(), prefix.data(), prefix.size());
    std::memcpy(buffer.data() + prefix.size(), rest.data(), rest.size());
    return std::string_view(buffer.data(), prefix.size() + rest.size());
}

// Docker Hub's own images have a name of one component only in people's heads.
std::string_view hub_prefix(std::string_view login_server, std::string_view repository) noexcept {
    const bool official = login_server == "docker.io" && repository.find('/') == std::string_view::npos;
    return official ? "library/" : "";
}

}  // namespace

std::optional<Route> RuleTable::Index::route_by_target(const RuleRecord& record, std::string_view path,
                                                       RouteBuffer& buffer) const noexcept {
    std::string_view prefix = record.source_path, rest;
    if (record.wildcard) {
        rest = path.substr(record.target_path.size());
        if (prefix.empty()) prefix = hub_prefix(record.login_server, rest);
    }
    const auto repository = joined(prefix, rest, buffer);
    if (!repository) return std::nullopt;
    return Route{rules[record.rule].get(), record.rule, RouteStyle::target, record.login_server, *repository};
}

namespace {

RuleRefusal too_many(std::size_t count, const RuleTable::Options& options) {
    return {options.rules_max, std::nullopt, too_many_rules(count, options.rules_max, RuleTable::rules_max_ceiling)};
}

}  // namespace

RuleTable::RuleTable(std::unique_ptr<Index> index) noexcept : index_(std::move(index)) {}
RuleTable::RuleTable(RuleTable&&) noexcept = default;
RuleTable& RuleTable::operator=(RuleTable&&) noexcept = default;
RuleTable::~RuleTable() = default;

Result<RuleTable, RuleRefusal> RuleTable::build(std::vector<RuleText> texts, Options options) {
    if (texts.size() > options.rules_max) return too_many(texts.size(), options);
    RuleList rules;
    rules.reserve(texts.size());
    for (std::size_t rule = 0; rule < texts.size(); ++rule) {
        auto parsed = CacheRule::parse(std::move(texts[rule]));
        if (!parsed) return RuleRefusal{rule, std::nullopt, parsed.error()};
        rules.push_back(std::make_shared<const CacheRule>(*std::move(parsed)));
    }
    return build(std::move(rules), std::move(options));
}

Result<RuleTable, RuleRefusal> RuleTable::build(RuleList rules, Options options) {
    ASSERT(options.rules_max <= rules_max_ceiling);
    if (rules.size() > options.rules_max) return too_many(rules.size(), options);
    auto index = std::make_unique<Index>();
    index->options = std::move(options);
    index->rules = std::move(rules);
    const std::size_t count = index->rules.size();
    index->by_name = index->by_target = index->by_source = RuleIndex(count);
    for (std::uint32_t rule = 0; rule < count; ++rule) {
        if (auto refusal = index->add_name(rule)) return *std::move(refusal);
        const std::uint32_t place = index->records.add(rule, *index->rules[rule]);
        if (auto refusal = index->add_target(rule, place)) return *std::move(refusal);
        index->add_source(rule, place);
        index->warn(rule);
    }
    for (std::uint32_t rule = 0; rule < count; ++rule) {
        if (auto refusal = index->check_overlap(rule)) return *std::move(refusal);
    }
    return RuleTable(std::move(index));
}

std::optional<Route> RuleTable::find(std::string_view repository, std::string_view ns, RouteBuffer& buffer) const noexcept {
    index_->prefetch_targets(repository);
    ns = canonical_login_server(ns);
    if (!ns.empty()) index_->prefetch_sources(ns, repository);
    if (const auto record = index_->covering_target(repository, ns)) return index_->route_by_target(*record, repository, buffer);
    if (!ns.empty()) return find_by_source(ns, repository, buffer);

    const std::string_view login_server = index_->options.default_login_server;
    // Docker Hub has no owner with a dot in its name: such a path meant another registry, for which there is no rule.
    if (login_server == "docker.io" && looks_like_login_server(repository.substr(0, repository.find('/')))) return std::nullopt;
    auto route = find_by_source(login_server, repository, buffer);
    if (route) route->style = RouteStyle::default_server;
    return route;
}

std::optional<Route> RuleTable::find_by_target(std::string_view repository, RouteBuffer& buffer) const noexcept {
    const auto record = index_->covering_target(repository, {});
    return record ? index_->route_by_target(*record, repository, buffer) : std::nullopt;
}

std::optional<Route> RuleTable::find_by_source(std::string_view login_server, std::string_view repository,
                                               RouteBuffer& buffer) const noexcept {
    login_server = canonical_login_server(login_server);
    const auto name = joined(hub_prefix(login_server, repository), repository, buffer);
    if (!name) return std::nullopt;
    const auto record = index_->covering_source(login_server, *name);
    if (!record) return std::nullopt;
    return Route{index_->rules[record->rule].get(), record->rule, RouteStyle::login_server, record->login_server, *name};
}

const CacheRule* RuleTable::find_by_name(std::string_view name) const noexcept {
    const auto rule = index_->find_name(name);
    return rule ? index_->rules[*rule].get() : nullptr;
}

const RuleList& RuleTable::rules() const noexcept { return index_->rules; }

const RuleTable::Options& RuleTable::options() const noexcept { return index_->options; }

std::span<const std::string> RuleTable::warnings() const noexcept { return index_->warnings; }

}  // namespace entrepot
