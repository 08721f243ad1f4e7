// Lists: tags, referrers, catalog. They are upstream's to tell, change under our feet, and are never stored; when upstream cannot be reached, what the ledger knows is better than nothing.

#include "entrepot/oci/catalog.h"
#include "entrepot/oci/referrers.h"
#include "entrepot/oci/tags_list.h"
#include "registry/reply.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr std::uint32_t tags_page_default = 10'000;
constexpr std::uint32_t catalog_page_default = 100;
constexpr int upstream_pages_max = 100;

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

/// The value of `last` in a Link of upstream, still encoded, so that it can be asked for as it is; "" when there is no next page.
std::string next_query(const std::string& link) {
    auto question = link.find('?');
    auto close = link.find('>', question == std::string::npos ? 0 : question);
    if (question == std::string::npos || close == std::string::npos || link.find("rel=\"next\"") == std::string::npos) return {};
    return link.substr(question + 1, close - question - 1);
}

/// Every page of upstream's tag list, within bounds.
Task<Fetched<TagSet>> collect_tags(Call& call) {
    TagSet tags;
    std::string query;
    for (int page = 0; page < upstream_pages_max; ++page) {
        auto asked = co_await call.cache.ask_document(call.source, UpstreamKind::tags, "tags/list", query, tags_list_bytes_max);
        if (!asked) co_return asked.error();
        auto added = tags.add_page(asked->body);
        if (!added)
            co_return upstream_failure(Fault::upstream, Code::bad_message,
                                       fmt::format("upstream's tag list: {}", name_of(added.error())));
        query = next_query(asked->link);
        if (query.empty()) break;
    }
    co_return tags;
}

}  // namespace

Task<After> serve_tags(Call& call, const RequestTarget& target) {
    auto n = target.n.value_or(tags_page_default);
    std::string last(target.last), path(target.path), repository(target.repository);
    call.exchange.release_head();
    auto collected = co_await collect_tags(call);
    if (collected) {
        auto tags = *std::move(collected);
        co_return co_await reply_tags(call, tags.names(), n, last, std::move(path), std::move(repository), {});
    }
    auto known = lets_stale_through(collected.error().error)
                     ? call.cache.ledger().list_tags(call.source.ledger_name, "", tags_max)
                     : std::vector<std::string>();
    if (known.empty()) co_return co_await reply_failure(call, collected.error(), OciCode::name_unknown);
    call.cache.counters().stale_served.add();
    std::vector<std::string_view> names(known.begin(), known.end());
    co_return co_await reply_tags(call, names, n, last, std::move(path), std::move(repository),
                                  "X-Entrepot-Cache: stale\r\nWarning: 111 entrepot \"Revalidation Failed\"\r\n");
}

Task<After> serve_referrers(Call& call, const RequestTarget& target) {
    auto digest = *target.digest;
    std::string artifact_type(target.artifact_type);
    call.exchange.release_head();
    ReferrerSet referrers;
    auto asked = co_await call.cache.ask_document(call.source, UpstreamKind::referrers, "referrers/" + digest.text(), "",
                                                  referrers_bytes_max);
    bool no_api = !asked && asked.error().error.code == Code::not_found;
    if (no_api) {
        // Registries without the API keep the same index under a tag (distribution-spec 1.1, "Referrers Tag Schema").
        auto tag = referrers_tag(digest);
        asked =
            co_await call.cache.ask_document(call.source, UpstreamKind::referrers, "manifests/" + tag, "", referrers_bytes_max);
    }
    bool none = !asked && asked.error().error.code == Code::not_found;
    if (!asked && !none) co_return co_await reply_failure(call, asked.error(), OciCode::name_unknown);
    if (asked) {
        auto added = referrers.add_page(asked->body);
        if (!added) {
            auto failure = upstream_failure(Fault::upstream, Code::bad_message,
                                            fmt::format("upstream's referrers: {}", name_of(added.error())));
            co_return co_await reply_failure(call, failure, OciCode::name_unknown);
        }
    }
    auto body = referrers.index_body(artifact_type);
    auto lines = artifact_type.empty() ? std::string() : std::string("OCI-Filters-Applied: artifactType\r\n");
    co_return co_await reply_body(call.exchange, 200, call.ns, media_type::oci_index, std::move(body), lines);
}

Task<After> serve_catalog(Exchange& exchange, Cache& cache, const RequestTarget& target) {
    auto n = std::min(target.n.value_or(catalog_page_default), page_entries_max);
    std::string last(target.last), path(target.path);
    exchange.release_head();
    // One more than the page tells whether another follows.
    auto known = n == 0 ? std::vector<std::string>() : cache.ledger().list_repositories(last, std::size_t{n} + 1);
    std::vector<std::string_view> names(known.begin(), known.end());
    auto page = page_of(names, n, last);
    auto lines = page.more ? link_line(next_page_link(path, n, page.names.back(), {})) : std::string();
    auto body = catalog_body(page.names);
    co_return co_await reply_body(exchange, 200, {}, "application/json", std::move(body), lines);
}

}  // namespace entrepot
