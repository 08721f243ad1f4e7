// POST /api/v1/purge: cached content goes, by rule, repository, tag or digest.

#include "admin/handlers.h"
#include "entrepot/admin/admin.h"
#include "entrepot/admin/api_fields.h"
#include "entrepot/io/blocking.h"
#include "entrepot/oci/name.h"
#include "entrepot/rules/rule_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace entrepot {
namespace {

constexpr std::size_t shared_rules_max = 1000;  // that an answer names

struct Asked {
    std::optional<std::string> rule, repository, tag;
    std::optional<Digest> digest;
};

Result<Asked, ApiError> read_order(const nlohmann::json& body) {
    ApiFields fields(body);
    Asked asked{fields.text("rule"), fields.text("repository"), fields.text("tag"), std::nullopt};
    auto digest = fields.text("digest");
    if (digest) asked.digest = Digest::parse(*digest);
    if (digest && !asked.digest) fields.refuse("\"digest\" must be sha256: or sha512: and lower-case hex");
    if (asked.rule.has_value() == asked.repository.has_value())
        fields.refuse("name a \"rule\" or a \"repository\", one of the two");
    if (asked.rule && (asked.tag || digest)) fields.refuse("a tag or a digest is of a repository: name it in place of the rule");
    if (asked.tag && digest) fields.refuse("name a \"tag\" or a \"digest\", not both");
    if (asked.tag && !is_tag(*asked.tag)) fields.refuse("\"tag\" is no valid tag");
    if (auto sound = fields.finish(); !sound) return sound.error();
    return asked;
}

/// Whose content it is, and who else has part in it.
struct Meant {
    std::vector<Holder> holders;
    std::vector<std::string> shared_with;  ///< rules of the same rights over the same repositories: what goes is theirs as well
};

/// `named`: the rule that was asked for, if one was.
std::vector<std::string> find_sharing(const Routing& routing, const CacheRule* named, std::string_view login_server,
                                      std::string_view path, const std::set<std::string>& scopes, const Asked& asked) {
    std::vector<std::string> names;
    for (auto* rule : routing.find_holding(login_server, path, scopes)) {
        if (names.size() == shared_rules_max) break;
        bool serves = asked.rule || why_not_repository(*rule, path).empty();
        if (asked.tag && !why_not_tag(*rule, *asked.tag).empty()) serves = false;
        if (rule != named && serves) names.emplace_back(rule->name());
    }
    std::sort(names.begin(), names.end());
    return names;
}

/// A repository of ours as a request would name it; else, for rules that are gone, one upstream with its login server, by whosever rights it came.
Meant of_repository(const Routing& routing, const Ledger& ledger, const std::string& repository, const Asked& asked) {
    Meant meant;
    if (auto found = routing.find(repository, "")) {
        auto& source = found->source;
        meant.holders.push_back({source.scope(), source.ledger_name});
        meant.shared_with =
            find_sharing(routing, found->rule, source.upstream->login_server, source.repository, {source.scope()}, asked);
        return meant;
    }
    meant.holders = ledger.list_holders(repository);
    std::erase_if(meant.holders, [&](auto& holder) { return holder.repository != repository; });
    std::set<std::string> scopes;
    for (auto& holder : meant.holders) scopes.insert(holder.scope);
    auto slash = std::min(repository.find('/'), repository.size());
    std::string_view path = std::string_view(repository).substr(std::min(slash + 1, repository.size()));
    if (!scopes.empty() && !path.empty())
        meant.shared_with = find_sharing(routing, nullptr, std::string_view(repository).substr(0, slash), path, scopes, asked);
    return meant;
}

Result<Meant, ApiError> find_holders(const Routing& routing, const Ledger& ledger, const Asked& asked) {
    if (asked.rule) {
        auto* rule = routing.rules().find_by_name(*asked.rule);
        if (!rule) return ApiError(404, "NotFound", fmt::format("there is no cache rule '{}' that takes part", *asked.rule));
        auto source = fmt::format("{}/{}", rule->login_server(), rule->source_path());
        auto scope = routing.find_source(rule->name(), "x")->source.scope();
        return Meant{holders_under(ledger, scope, source, rule->wildcard()),
                     find_sharing(routing, rule, rule->login_server(), rule->source_path(), {scope}, asked)};
    }
    if (!is_repository(*asked.repository) && asked.repository->find('.') == std::string::npos)
        return ApiError(400, "RepositoryInvalid", "\"repository\" is no valid repository name");
    auto meant = of_repository(routing, ledger, *asked.repository, asked);
    if (meant.holders.empty())
        return ApiError(
            404, "NotFound",
            "no cache rule covers this repository, and nothing is stored under the name; write it as clients ask for it");
    if (meant.holders.size() > 1 && (asked.tag || asked.digest))
        return ApiError(
            409, "RepositoryAmbiguous",
            "several credentials brought content of this repository and no rule covers it now: purge all of it, without a tag or digest");
    return meant;
}

ApiError error_of(const Error& error) {
    if (error.code == Code::busy) return {503, "Busy", "other purges are waiting already: try again in a minute"};
    if (error.code == Code::too_large)
        return {413, "ImageTooLarge",
                "the image has too many parts to tell which of them others share: purge its whole repository"};
    if (error.code == Code::timeout)
        return {503, "Busy", "what was pulled just now is still being written, and nothing was purged: try again in a minute"};
    if (error.code == Code::stopping) return {503, "Stopping", "the server is stopping; purge again what is left"};
    return {500, "StorageFailed", "the ledger could not be changed; what was purged before is gone, purge again what is left"};
}

}  // namespace

Task<ApiReply> purge_content(ApiCall& call) {
    if (!call.context.ready)
        co_return ApiError(503, "NotReady", "the store is being loaded, or the server is stopping: ask /readyz");
    auto asked = read_order(call.body);
    if (!asked) co_return asked.error();
    auto dry_run = call.query.flag("dryRun");
    if (!dry_run) co_return dry_run.error();
    auto routing = call.context.control->routing();
    auto& ledger = call.context.cache->ledger();
    // What was pulled just now has its holder in the ledger then.
    auto recorded = co_await call.context.purge->until_recorded();
    if (!recorded) co_return error_of(recorded.error());
    auto find = [&] { return find_holders(*routing, ledger, *asked); };
    auto meant = co_await run_blocking(Lane::resolver, find);
    if (!meant) co_return meant.error();
    PurgeOrder order;
    order.holders = std::move(meant->holders);
    order.tag = asked->tag.value_or("");
    order.digest = asked->digest;
    order.dry_run = *dry_run;
    auto done = co_await call.context.purge->run(std::move(order));
    if (!done) co_return error_of(done.error());
    nlohmann::ordered_json document;
    document["tags"] = done->tags;
    document["manifests"] = done->manifests;
    document["blobs"] = done->blobs;
    document["bytes"] = done->bytes;
    document["kept"] = done->kept;
    document["sharedWith"] = meant->shared_with;
    co_return ApiReply::document(std::move(document));
}

}  // namespace entrepot
