#include "cli/content_commands.h"

#include <algorithm>

namespace entrepot::cli {
namespace {

constexpr std::size_t sync_calls_max = 10'000;
constexpr std::size_t rules_named_max = 5;

struct SyncOptions {
    std::string rule;  // NAME or NAME:TAG
    std::optional<std::string> repository;
};

Table sync_table(const Json& results) {
    Table table({"Repository", "Tag", "Outcome", "Before", "After", "Source", "Message"});
    for (const auto& result : results)
        table.add({text_at(result, "target"), text_at(result, "tag"), text_at(result, "outcome"), text_at(result, "before"),
                   text_at(result, "after"), text_at(result, "repository"), text_at(result, "message")});
    return table;
}

/// The server works off a bounded number of tags a request, and says where the next one goes on.
Answered<Json> sync_all(Session& session, Json request) {
    Json whole{{"results", Json::array()}};
    for (std::size_t calls = 0; calls < sync_calls_max; ++calls) {
        auto answer = session.api().post("/api/v1/sync", request);
        if (!answer) return answer;
        for (const auto& result : at(*answer, "results")) whole["results"].push_back(result);
        const auto next = text_at(*answer, "next");
        if (next.empty() || next == text_at(request, "after")) break;
        request["after"] = next;
    }
    return whole;
}

Outcome<void> sync_rule(Session& session, const SyncOptions& options) {
    const auto colon = options.rule.find(':');
    if (colon == 0 || colon + 1 == options.rule.size())
        return misused("'{}' is no NAME or NAME:TAG, as in docker-hub or docker-hub:latest", options.rule);
    Json request{{"rule", options.rule.substr(0, colon)}};
    if (colon != options.rule.npos) request["tag"] = options.rule.substr(colon + 1);
    if (options.repository) request["repository"] = *options.repository;
    auto answer = sync_all(session, std::move(request));
    if (!answer) {
        auto refusal = answer.error();
        if (refusal.code == "RepositoryMissing") refusal.failure.text += "; --repository names it";
        return refusal.failure;
    }
    const Json& results = at(*answer, "results");
    const Table table = sync_table(results);
    auto shown = session.show(*answer, session.text_of(table), table);
    if (!shown) return shown;
    std::size_t lost = 0;
    for (const auto& result : results) lost += text_at(result, "outcome") == "failed";
    if (lost > 0) return failed("{} of {} tags could not be refreshed; the messages say why", lost, results.size());
    return {};
}

struct PurgeOptions {
    std::optional<std::string> rule, repository, tag, digest;
    bool yes = false, dry_run = false;
};

/// What would go, in words.
std::string purged_by(const PurgeOptions& options) {
    if (options.rule) return fmt::format("everything that cache rule \"{}\" has stored", *options.rule);
    if (options.digest) return fmt::format("{}@{}", *options.repository, *options.digest);
    return options.tag ? fmt::format("{}:{}", *options.repository, *options.tag)
                       : fmt::format("everything of repository {}", *options.repository);
}

/// Rules over one source with the same credentials share what is stored: who purges one should know of the others.
std::string who_else_loses_it(const Json& answer) {
    const Json& rules = at(answer, "sharedWith");
    if (!rules.is_array() || rules.empty()) return "";
    std::string names;
    for (std::size_t i = 0; i < std::min(rules.size(), rules_named_max); ++i)
        names += fmt::format("{}\"{}\"", i > 0 ? ", " : "", scalar_text(rules[i]));
    if (rules.size() > rules_named_max) names += fmt::format(" and {} more", rules.size() - rules_named_max);
    const bool several = rules.size() > 1;
    return fmt::format(" Cache rule{} {} share{} it and lose{} it too.", several ? "s" : "", names, several ? "" : "s",
                       several ? "" : "s");
}

/// Asks, where somebody can be asked, with what a dry run says.
Outcome<void> confirm_purge(Session& session, const PurgeOptions& options, const Json& request) {
    auto question = fmt::format("Remove {} from the store?", purged_by(options));
    if (!options.yes && session.terminal().can_ask()) {
        auto would = session.api().post("/api/v1/purge", request, {}, Query().flag("dryRun", true));
        if (!would) return would.error().failure;
        question += who_else_loses_it(*would);
    }
    return session.confirm(options.yes, question);
}

Outcome<void> purge(Session& session, const PurgeOptions& options) {
    if (options.rule.has_value() == options.repository.has_value())
        return misused("say what to purge: -n RULE or --repository NAME, one of them");
    if (options.rule && (options.tag || options.digest)) return misused("--tag and --digest need --repository");
    if (options.tag && options.digest) return misused("--tag and --digest exclude each other");
    Json request;
    for (const auto& [member, value] : {std::pair("rule", &options.rule), std::pair("repository", &options.repository),
                                        std::pair("tag", &options.tag), std::pair("digest", &options.digest)})
        if (*value) request[member] = **value;
    if (!options.dry_run) {
        auto agreed = confirm_purge(session, options, request);
        if (!agreed) return agreed;
    }
    auto answer = session.api().post("/api/v1/purge", request, {}, Query().flag("dryRun", options.dry_run));
    if (!answer) return answer.error().failure;
    Table table({"Tags", "Manifests", "Blobs", "Bytes", "Kept", "Shared with"});
    table.add({scalar_text(at(*answer, "tags")), scalar_text(at(*answer, "manifests")), scalar_text(at(*answer, "blobs")),
               scalar_text(at(*answer, "bytes")), scalar_text(at(*answer, "kept")), joined_at(*answer, "sharedWith")});
    return session.show(*answer, session.text_of(table), table);
}

}  // namespace

void declare_content_commands(CommandGroup& cache) {
    auto sync_options = std::make_shared<SyncOptions>();
    cache
        .command("sync", "Ask upstream for a rule's tags now, and take what is new",
                 "  entrepot cache sync docker-hub:latest --repository hub/library/alpine", sync_options, sync_rule)
        .required("RULE", sync_options->rule, "NAME[:TAG]", "The rule, and one tag if only that is meant")
        .optional("--repository", sync_options->repository, "REPO", "Only this repository of ours");

    auto purge_options = std::make_shared<PurgeOptions>();
    cache
        .command(
            "purge", "Remove what is stored; what something else still refers to is kept",
            "  entrepot cache purge -n docker-hub --dry-run\n  entrepot cache purge --repository hub/library/alpine --tag 3.19 -y",
            purge_options, purge)
        .optional("-n,--name", purge_options->rule, "NAME", "All of this rule")
        .optional("--repository", purge_options->repository, "REPO", "All of this repository of ours, or of it ...")
        .optional("--tag", purge_options->tag, "TAG", "... this tag")
        .optional("--digest", purge_options->digest, "DIGEST", "... this manifest")
        .flag("-y,--yes", purge_options->yes, "Do not ask")
        .flag("--dry-run", purge_options->dry_run, "Count what would go; remove nothing");
}

}  // namespace entrepot::cli
