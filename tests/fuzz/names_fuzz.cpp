// Any bytes as a request-target and as the two sides of a cache rule: what is accepted is well formed and lies inside the
// input, a parsed rule parses to itself, and a route leads nowhere but into its rule's source.

#include "entrepot/base/assert.h"
#include "entrepot/base/random.h"
#include "entrepot/oci/list_page.h"
#include "entrepot/oci/request_target.h"
#include "entrepot/rules/endpoint.h"
#include "entrepot/rules/rule_table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

using namespace entrepot;

// The seam that rule tables take their seed from.
std::uint64_t entrepot::hash_seed() noexcept { return 7; }

namespace {

bool is_inside(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

bool is_harmless(std::string_view text) {
    for (const char character : text) {
        if (character <= 0x20 || character >= 0x7f) return false;
    }
    return true;
}

void check_error(const TargetError& error) {
    ASSERT(error.status >= 400 && error.status < 500 && !error.message.empty());
    const auto body = nlohmann::json::parse(error_body(error.code, error.message), nullptr, false);
    ASSERT(body.contains("errors"));
}

void check_target(const RequestTarget& parsed, std::string_view target) {
    ASSERT(parsed.path.starts_with("/v2") && is_inside(parsed.path, target) && is_inside(parsed.repository, parsed.path));
    const bool named = parsed.kind != TargetKind::base && parsed.kind != TargetKind::catalog;
    ASSERT(named ? is_repository(parsed.repository) : parsed.repository.empty());
    ASSERT(parsed.tag.empty() || (is_tag(parsed.tag) && is_inside(parsed.tag, parsed.path) && !parsed.digest));
    const bool content = parsed.kind == TargetKind::blob || parsed.kind == TargetKind::referrers;
    ASSERT(!content || parsed.digest);
    ASSERT(parsed.kind != TargetKind::manifest || parsed.digest.has_value() == parsed.tag.empty());
    ASSERT(!parsed.digest || parsed.path.ends_with(parsed.digest->text()));
    ASSERT(parsed.ns.empty() || is_login_server(parsed.ns));
    ASSERT(!parsed.n || *parsed.n <= page_entries_max);
    ASSERT(is_harmless(parsed.last) && is_harmless(parsed.artifact_type) && is_harmless(parsed.ns));
}

Result<RequestTarget, TargetError> parse(std::string_view target, QueryScratch& scratch) {
    const std::string_view path = target.substr(0, target.find('?'));
    return parse_request_target(path, target.substr(std::min(path.size() + 1, target.size())), scratch);
}

// The link to a next page is a request-target of the same meaning.
void check_link(const RequestTarget& parsed) {
    // Only lists have pages; the free rest of an upload's path is never written into a link.
    if (parsed.kind != TargetKind::tags_list && parsed.kind != TargetKind::catalog) return;
    const std::string link = next_page_link(parsed.path, 5, parsed.last, parsed.ns);
    ASSERT(link.starts_with('<') && link.ends_with(">; rel=\"next\"") && link.find_first_of("\r\n") == std::string::npos);
    const std::string_view target = std::string_view(link).substr(1, link.rfind('>') - 1);
    QueryScratch scratch;
    const auto again = parse(target, scratch);
    ASSERT(again && again->ns == parsed.ns && again->last == parsed.last && again->repository == parsed.repository);
}

void try_target(std::string_view target) {
    QueryScratch scratch;
    const auto parsed = parse(target, scratch);
    if (!parsed) return check_error(parsed.error());
    check_target(*parsed, target);
    check_link(*parsed);
}

void check_route(const Route& route) {
    ASSERT(is_repository(route.repository) && route.login_server == route.rule->login_server());
    const std::string_view source = route.rule->source_path();
    ASSERT(route.rule->wildcard() ? route.repository.starts_with(source) : route.repository == source);
}

void try_rules(std::string_view source, std::string_view target, std::string_view repository) {
    RuleText text;
    text.name = "fuzzed";
    text.source = source;
    text.target = target;
    const auto rule = CacheRule::parse(text);
    if (!rule) return ASSERT(is_harmless(rule.error().substr(0, 5)) && rule.error().find('\n') == std::string::npos);
    const auto again = CacheRule::parse(rule->text());
    ASSERT(again && again->text() == rule->text() && again->login_server() == rule->login_server());
    ASSERT(is_login_server(rule->login_server()));

    RuleText hub;
    hub.name = "hub";
    hub.source = hub.target = "docker.io/*";
    const auto table = RuleTable::build({rule->text(), hub}, {});
    if (!table) return ASSERT(!table.error().message.empty());
    if (!is_repository(repository)) return;
    for (const std::string_view ns : {std::string_view(), rule->login_server(), std::string_view("docker.io")}) {
        RouteBuffer buffer;
        const auto route = table->find(repository, ns, buffer);
        if (!route) continue;
        check_route(*route);
        ASSERT(ns.empty() || route->login_server == ns || ns.ends_with("docker.io"));
    }
}

}  // namespace

// Lines: a request-target, a source, a target, a repository to look up.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    std::string_view lines[4];
    for (std::string_view& line : lines) {
        line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    try_target(lines[0]);
    try_rules(lines[1], lines[2], lines[3]);
    if (const auto endpoint = parse_endpoint(lines[1])) ASSERT(parse_endpoint(endpoint->url()).has_value());
    is_private_host(lines[3]);
    return 0;
}
