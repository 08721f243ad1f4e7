// Lists: tags, referrers, catalog. They are upstream's to tell, change under our feet, and are never stored; when upstream cannot be reached, what the ledger knows is better than nothing.

#include "entrepot/access/pull_decision.h"
#include "entrepot/oci/catalog.h"
#include "entrepot/oci/referrers.h"
#include "entrepot/oci/tags_list.h"
#include "entrepot/rules/rule_policy.h"
#include "registry/admission.h"
#include "registry/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace entrepot {
namespace {

constexpr std::uint32_t tags_page_default = 10'000;
constexpr int upstream_pages_max = 1000;
constexpr Duration upstream_list_time_max = seconds(120);  // for all pages together
constexpr std::size_t catalog_batch = 256;                 // names looked at between two breaths
constexpr Duration catalog_time_max = seconds(10);
constexpr std::size_t rules_of_one_source_max = 64;  // that one name in the catalog is checked against
constexpr std::size_t tags_of_one_name_max = 16;

std::string link_line(const std::string& link) { return link.empty() ? std::string() : "Link: " + link + "\r\n"; }

Task<After> reply_tags(Call& call, std::span<const std::string_view> sorted, std::uint32_t n, std::string_view last,
                       std::string path, std::string repository, std::string_view more_lines) {
    auto page = page_of(sorted, n, last);
    auto lines = std::string(more_lines);
    if (page.more) lines += link_line(next_page_link(path, n, page.names.back(), call.ns));
    auto body = tags_list_body(repository, page.names);
    auto reply = reply_body(call.exchange, 200, call.ns, "application/json", std::move(body), lines);
    co_return co_await reply;
}

/// The query of the link to the next page, still encoded, so that it can be asked for as it is; "" when there is no next page. The line may hold several
/// links (RFC 8288 section 3).
std::string next_query(const std::string& links) {
    auto relation = std::min(links.find("rel=\"next\""), links.find("rel=next"));
    if (relation == std::string::npos) return {};
    auto open = links.rfind('<', relation);
    if (open == std::string::npos) return {};
    auto target = links.substr(open, links.find('>', open) - open);
    auto question = target.find('?');
    return question == std::string::npos ? std::string() : target.substr(question + 1);
}

struct ListKind {
    UpstreamKind kind;
    std::string_view name;
    std::size_t page_bytes_max;
};
constexpr ListKind tags_kind{UpstreamKind::tags, "tag list", tags_list_bytes_max};
constexpr ListKind referrers_kind{UpstreamKind::referrers, "referrers", referrers_bytes_max};

/// Every page of a list of upstream's. A list without end fails: a part of it would look like all of it.
template <typename Set>
Task<Fetched<Set>> collect(Call& call, const ListKind& kind, std::string resource) {
    Set set;
    std::string query;
    name_client(call);
    auto deadline = call.cache.loop().time() + upstream_list_time_max;
    for (int page = 0; page < upstream_pages_max; ++page) {
        if (call.cache.loop().time() >= deadline) {
            auto why = fmt::format("upstream took more than {} s for {} pages of its {}",
                                   std::chrono::duration_cast<seconds>(upstream_list_time_max).count(), page, kind.name);
            co_return upstream_failure(Fault::upstream, Code::timeout, std::move(why));
        }
        auto asked = co_await call.cache.ask_document(call.source, kind.kind, resource, query, kind.page_bytes_max);
        if (!asked) co_return asked.error();
        auto added = set.add_page(asked->body);
        if (!added)
            co_return upstream_failure(Fault::upstream, Code::bad_message,
                                       fmt::format("upstream's {} {}", kind.name, name_of(added.error())));
        query = next_query(asked->link);
        if (query.empty()) co_return set;
    }
    co_return upstream_failure(Fault::upstream, Code::too_large,
                               fmt::format("upstream's {} has more than {} pages", kind.name, upstream_pages_max));
}

bool is_absent(const Fetched<ReferrerSet>& collected) noexcept {
    return !collected && collected.error().error.code == Code::not_found;
}

/// A tag is known by its repository upstream, whoever asked for it; who may learn of it is whoever was given what it points to.
bool is_known_to(const Ledger& ledger, const Source& source, const std::string& tag) {
    auto record = ledger.find_tag(source.ledger_name, tag);
    return record && ledger.granted(source.scope(), source.ledger_name, record->digest);
}

/// Whether the catalog may name the repository: something of it came by a rule through which the visitor may pull it.
bool may_see(const Routing& routing, const Ledger& ledger, const std::string& name, const Account* visitor) {
    auto slash = name.find('/');
    auto login_server = std::string_view(name).substr(0, slash), repository = std::string_view(name).substr(slash + 1);
    for (auto& found : routing.find_all_by_source(login_server, repository, rules_of_one_source_max)) {
        if (!may_pull(found.rule->text(), target_repository(*found.rule, repository), visitor)) continue;
        if (!why_not_repository(*found.rule, repository).empty()) continue;
        for (auto& tag : ledger.list_tags(name, "", tags_of_one_name_max)) {
            if (is_known_to(ledger, found.source, tag)) return true;
        }
    }
    return false;
}

/// Nothing when it took too long.
Task<std::optional<std::vector<std::string>>> names_for(const Ledger& ledger, const Routing& routing,
                                                        std::shared_ptr<const Account> visitor, std::string last,
                                                        std::size_t wanted) {
    if (routing.anonymous()) co_return ledger.list_repositories(last, wanted);
    std::vector<std::string> names;
    auto deadline = Loop::current().time() + catalog_time_max;
    for (;;) {
        auto batch = ledger.list_repositories(last, catalog_batch);
        for (auto& name : batch) {
            if (names.size() < wanted && may_see(routing, ledger, name, visitor.get())) names.push_back(name);
        }
        if (batch.size() < catalog_batch || names.size() == wanted) co_return names;
        last = batch.back();
        co_await Breathe{};
        if (Loop::current().time() >= deadline) co_return std::nullopt;
    }
}

/// Those that the rule's filter admits.
std::vector<std::string_view> served_tags(const Call& call, std::span<const std::string_view> names) {
    auto& filter = call.rule->text().tags;
    std::vector<std::string_view> served;
    std::copy_if(names.begin(), names.end(), std::back_inserter(served), [&](auto name) { return filter.admits(name); });
    return served;
}

/// The tags that the rule lets us serve although upstream failed so: they stand in for its list.
std::vector<std::string> stale_tags(Call& call, const UpstreamFailure& failure) {
    auto failed = class_of(failure.error);
    auto may_stay = [&](Duration age) { return stale_left(call.source.stale, failed, age) > Duration::zero(); };
    std::vector<std::string> names;
    if (!may_stay(Duration::zero())) return names;
    for (auto& [name, record] : call.cache.ledger().list_tag_records(call.source.ledger_name, "", tags_max)) {
        bool admitted = call.rule->text().tags.admits(name);
        if (!admitted || !may_stay(seconds(wall_seconds() - record.checked))) continue;
        // A tag is known by its repository upstream, whoever asked for it; who may learn of it is whoever was given what it points to.
        if (call.cache.ledger().granted(call.source.scope(), call.source.ledger_name, record.digest))
            names.push_back(std::move(name));
    }
    return names;
}

}  // namespace

Task<After> serve_tags(Call& call, const RequestTarget& target) {
    auto n = target.n.value_or(tags_page_default);
    std::string last(target.last), path(target.path), repository(target.repository);
    call.exchange.release_head();
    auto collected = co_await collect<TagSet>(call, tags_kind, "tags/list");
    if (collected) {
        auto tags = *std::move(collected);
        auto served = served_tags(call, tags.names());
        co_return co_await reply_tags(call, served, n, last, std::move(path), std::move(repository), {});
    }
    auto known = stale_tags(call, collected.error());
    if (known.empty()) co_return co_await reply_failure(call, collected.error(), OciCode::name_unknown);
    call.cache.counters().stale_served.add();
    std::vector<std::string_view> names(known.begin(), known.end());
    call.exchange.served = name_of(Served::stale);
    co_return co_await reply_tags(call, names, n, last, std::move(path), std::move(repository),
                                  "X-Entrepot-Cache: stale\r\nWarning: 111 entrepot \"Revalidation Failed\"\r\n");
}

Task<After> serve_referrers(Call& call, const RequestTarget& target) {
    auto digest = *target.digest;
    std::string artifact_type(target.artifact_type);
    call.exchange.release_head();
    auto collected = co_await collect<ReferrerSet>(call, referrers_kind, "referrers/" + digest.text());
    if (is_absent(collected)) {
        // Registries without the API keep the same index under a tag (distribution-spec 1.1, "Referrers Tag Schema").
        collected = co_await collect<ReferrerSet>(call, referrers_kind, "manifests/" + referrers_tag(digest));
    }
    if (!collected && !is_absent(collected)) co_return co_await reply_failure(call, collected.error(), OciCode::name_unknown);
    auto referrers = collected ? *std::move(collected) : ReferrerSet();
    auto body = referrers.index_body(artifact_type);
    auto lines = artifact_type.empty() ? std::string() : std::string("OCI-Filters-Applied: artifactType\r\n");
    co_return co_await reply_body(call.exchange, 200, call.ns, media_type::oci_index, std::move(body), lines);
}

Task<After> serve_catalog(Exchange& exchange, Cache& cache, Door door, const RequestTarget& target) {
    auto n = std::min(target.n.value_or(catalog_entries_default), catalog_entries_max);
    std::string last(target.last), path(target.path);
    std::shared_ptr<const Account> visitor;
    if (!door.routing.anonymous()) {
        auto recognising = recognise(exchange, door);
        auto recognised = co_await recognising;
        if (recognised.answered) co_return *recognised.answered;
        visitor = recognised.visitor.account;
    }
    exchange.release_head();
    // One more than the page tells whether another follows.
    std::optional<std::vector<std::string>> known(std::in_place);
    if (n > 0) known = co_await names_for(cache.ledger(), door.routing, visitor, last, std::size_t{n} + 1);
    if (!known)
        co_return co_await reply_error(exchange, 503, OciCode::unavailable, "the catalog is too long to be searched now", {},
                                       "Retry-After: 10\r\n");
    std::vector<std::string_view> names(known->begin(), known->end());
    auto page = page_of(names, n, last);
    auto lines = page.more ? link_line(next_page_link(path, n, page.names.back(), {})) : std::string();
    auto body = catalog_body(page.names);
    co_return co_await reply_body(exchange, 200, {}, "application/json", std::move(body), lines);
}

}  // namespace entrepot
