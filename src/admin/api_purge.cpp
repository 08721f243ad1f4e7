// POST /api/v1/purge: cached content goes, by rule, repository, tag or digest.

#include "admin/handlers.h"
#include "entrepot/admin/admin.h"
#include "entrepot/admin/api_fields.h"
#include "entrepot/io/blocking.h"
#include "entrepot/oci/name.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

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

/// A repository of ours as a request would name it; else, for rules that are gone, one upstream with its login server, by whosever rights it came.
std::vector<Holder> holders_of_repository(const Routing& routing, const Ledger& ledger, const std::string& repository) {
    if (auto found = routing.find(repository, "")) return {Holder{found->source.scope(), found->source.ledger_name}};
    auto holders = ledger.list_holders(repository);
    std::erase_if(holders, [&](auto& holder) { return holder.repository != repository; });
    return holders;
}

Result<std::vector<Holder>, ApiError> find_holders(const Routing& routing, const Ledger& ledger, const Asked& asked) {
    if (asked.rule) {
        auto* rule = routing.rules().find_by_name(*asked.rule);
        if (!rule) return ApiError(404, "NotFound", fmt::format("there is no cache rule '{}' that takes part", *asked.rule));
        auto source = fmt::format("{}/{}", rule->login_server(), rule->source_path());
        auto scope = routing.find_source(rule->name(), "x")->source.scope();
        return holders_under(ledger, scope, source, rule->wildcard());
    }
    if (!is_repository(*asked.repository) && asked.repository->find('.') == std::string::npos)
        return ApiError(400, "RepositoryInvalid", "\"repository\" is no valid repository name");
    auto holders = holders_of_repository(routing, ledger, *asked.repository);
    if (holders.empty())
        return ApiError(
            404, "NotFound",
            "no cache rule covers this repository, and nothing is stored under the name; write it as clients ask for it");
    if (holders.size() > 1 && (asked.tag || asked.digest))
        return ApiError(
            409, "RepositoryAmbiguous",
            "several credentials brought content of this repository and no rule covers it now: purge all of it, without a tag or digest");
    return holders;
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
    auto holders = co_await run_blocking(Lane::resolver, find);
    if (!holders) co_return holders.error();
    PurgeOrder order;
    order.holders = *std::move(holders);
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
    co_return ApiReply::document(std::move(document));
}

}  // namespace entrepot
