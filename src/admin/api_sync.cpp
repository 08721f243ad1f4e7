// POST /api/v1/sync: upstream is asked now what tags point to, however young our answer is. Known tags only, unless one is named: nothing is fetched before it is asked for.

#include "admin/handlers.h"
#include "entrepot/admin/admin.h"
#include "entrepot/admin/api_fields.h"
#include "entrepot/io/blocking.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/rule_policy.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr std::size_t tags_a_call_max = 2000;
constexpr std::size_t workers_max = 32;  // upstream's own bound on revalidations paces them (tags.h)
constexpr std::size_t repositories_a_page = 256;

struct SyncItem {
    Source source;
    std::string tag;
    std::string before, after, outcome, message;
};

/// What one call works off.
struct SyncRun {
    Cache& cache;
    std::vector<SyncItem> items;
    std::size_t next = 0;
    std::string following;  ///< "REPOSITORY:TAG" behind which the next call goes on; empty: nothing is left
};

struct Asked {
    std::string rule;
    std::optional<std::string> tag, repository;
    std::string after_repository, after_tag;
};

Result<Asked, ApiError> read_order(const nlohmann::json& body) {
    ApiFields fields(body);
    Asked asked;
    asked.rule = fields.required_text("rule");
    asked.tag = fields.text("tag");
    asked.repository = fields.text("repository");
    auto after = fields.text("after").value_or("");
    auto colon = after.rfind(':');
    if (!after.empty() && colon == std::string::npos) fields.refuse("\"after\" must be what an answer's \"next\" said");
    if (!after.empty() && colon != std::string::npos) {
        asked.after_repository = after.substr(0, colon);
        asked.after_tag = after.substr(colon + 1);
    }
    if (asked.tag && !is_tag(*asked.tag)) fields.refuse("\"tag\" is no valid tag");
    if (auto sound = fields.finish(); !sound) return sound.error();
    return asked;
}

/// The upstream repository that is meant; "" all that a wildcard covers.
Result<std::string, ApiError> meant_repository(const Routing& routing, const CacheRule& rule, const Asked& asked) {
    if (!asked.repository) {
        if (!rule.wildcard()) return std::string(rule.source_path());
        if (!asked.tag) return std::string();
        return ApiError(
            400, "RepositoryMissing",
            fmt::format("cache rule '{}' covers many repositories: name the tag's \"repository\" as clients ask for it",
                        rule.name()));
    }
    auto found = is_repository(*asked.repository) ? routing.find(*asked.repository, "") : std::nullopt;
    if (!found || found->rule != &rule)
        return ApiError(
            404, "RepositoryElsewhere",
            fmt::format("clients that ask for this repository are not served by cache rule '{}'; explain says by which",
                        rule.name()));
    return found->source.repository;
}

Source source_of(const Source& model, std::string_view repository) {
    auto source = make_source(*model.upstream, model.credential, repository, model.tag_ttl);
    source.stale = model.stale;
    source.freshness = model.freshness;
    return source;
}

/// Adds the known tags of one repository; false once the call has enough.
bool add_known(SyncRun& run, const CacheRule& rule, const Source& source, const std::string& after) {
    if (!why_not_repository(rule, source.repository).empty()) return true;
    for (auto& tag : run.cache.ledger().list_tags(source.ledger_name, after, tags_a_call_max)) {
        if (!why_not_tag(rule, tag).empty()) continue;
        if (run.items.size() == tags_a_call_max) return false;
        run.items.push_back({source, tag, {}, {}, {}, {}});
    }
    return true;
}

void add_all(SyncRun& run, const CacheRule& rule, const Source& model, const Asked& asked) {
    auto prefix = fmt::format("{}/{}", rule.login_server(), rule.source_path());
    auto server_bytes = rule.login_server().size() + 1;
    auto& ledger = run.cache.ledger();
    auto add = [&](const std::string& name, const std::string& after) {
        return add_known(run, rule, source_of(model, std::string_view(name).substr(server_bytes)), after);
    };
    if (asked.after_repository.starts_with(prefix) && !add(asked.after_repository, asked.after_tag)) return;
    for (auto last = asked.after_repository.empty() ? prefix : asked.after_repository;;) {
        auto page = ledger.list_repositories(last, repositories_a_page);
        for (auto& name : page) {
            if (!name.starts_with(prefix) || !add(name, "")) return;
        }
        if (page.size() < repositories_a_page) return;
        last = page.back();
    }
}

Task<void> work(SyncRun& run) {
    while (run.next < run.items.size()) {
        auto& item = run.items[run.next++];
        auto known = run.cache.ledger().find_tag(item.source.ledger_name, item.tag);
        if (known) item.before = known->digest.text();
        auto answer = co_await run.cache.sync_tag(item.source, item.tag);
        item.outcome = "failed";
        if (!answer) {
            item.message = answer.error().why;
            continue;
        }
        item.after = answer->record.digest.text();
        item.outcome = item.after == item.before ? "unchanged" : "updated";
    }
}

nlohmann::ordered_json document_of(const SyncRun& run, const CacheRule& rule) {
    using Json = nlohmann::ordered_json;
    auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    Json document;
    document["results"] = Json::array();
    for (auto& item : run.items) {
        Json result;
        result["repository"] = item.source.ledger_name;
        result["target"] = target_repository(rule, item.source.repository);
        result["tag"] = item.tag;
        result["before"] = text_or_null(item.before);
        result["after"] = text_or_null(item.after);
        result["outcome"] = item.outcome;
        result["message"] = item.message;
        document["results"].push_back(std::move(result));
    }
    bool full = run.items.size() == tags_a_call_max;
    document["next"] = full ? Json(run.items.back().source.ledger_name + ":" + run.items.back().tag) : Json();
    return document;
}

}  // namespace

Task<ApiReply> sync_tags(ApiCall& call) {
    if (!call.context.ready)
        co_return ApiError(503, "NotReady", "the store is being loaded, or the server is stopping: ask /readyz");
    auto asked = read_order(call.body);
    if (!asked) co_return asked.error();
    auto routing = call.context.control->routing();
    auto* rule = routing->rules().find_by_name(asked->rule);
    if (!rule) co_return ApiError(404, "NotFound", fmt::format("there is no cache rule '{}' that takes part", asked->rule));
    auto repository = meant_repository(*routing, *rule, *asked);
    if (!repository) co_return repository.error();
    auto model = routing->find_source(rule->name(), *repository)->source;
    SyncRun run{*call.context.cache, {}, 0, {}};
    auto refusal = repository->empty() ? std::string() : why_not_repository(*rule, *repository);
    if (refusal.empty() && asked->tag) refusal = why_not_tag(*rule, *asked->tag);
    if (!refusal.empty()) co_return ApiError(409, "RuleRefuses", fmt::format("cache rule '{}' {}", rule->name(), refusal));
    if (asked->tag) run.items.push_back({model, *asked->tag, {}, {}, {}, {}});
    auto list = [&] {
        if (repository->empty()) add_all(run, *rule, model, *asked);
        else if (!asked->tag) add_known(run, *rule, model, asked->after_tag);
        return true;
    };
    (void)co_await run_blocking(Lane::resolver, list);
    TaskGroup workers;
    for (std::size_t i = 0; i < std::min(workers_max, run.items.size()); ++i) workers.start(work(run));
    co_await workers.close();
    co_return ApiReply::document(document_of(run, *rule));
}

}  // namespace entrepot
