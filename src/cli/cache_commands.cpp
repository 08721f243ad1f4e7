#include "cli/cache_commands.h"

#include "cli/content_commands.h"
#include "cli/explain_command.h"
#include "cli/plan_view.h"
#include "cli/rule_view.h"

namespace entrepot::cli {
namespace {

constexpr std::string_view collection = "/api/v1/cache-rules";

/// A value, or null for "default".
Json value_or_default(const std::string& text) { return text == "default" ? Json() : Json(text); }

void add_policies(Command command, RuleOptions& options) {
    command
        .optional("--tag-ttl", options.tag_ttl, "TIME",
                  "How long a tag is believed without asking upstream, as 60s; default: 60s")
        .optional("--stale-network", options.stale_network, "TIME",
                  "Serve a tag so long after its last check while upstream gives no answer: 24h, forever, never")
        .optional("--stale-server-error", options.stale_server_error, "TIME", "... while it answers 5xx")
        .optional("--stale-rate-limit", options.stale_rate_limit, "TIME", "... while it answers 429")
        .optional("--stale-denied", options.stale_denied, "TIME", "... while it answers 401 or 403")
        .optional("--stale-missing", options.stale_missing, "TIME", "... while it answers 404")
        .optional("--tag-equals", options.tag_equals, "TAG", "Serve this tag only")
        .optional("--tag-starts-with", options.tag_starts_with, "TEXT", "Serve tags that start so only")
        .optional("--tag-ends-with", options.tag_ends_with, "TEXT", "Serve tags that end so only")
        .optional("--tag-contains", options.tag_contains, "TEXT", "Serve tags that contain this only")
        .list("--platforms", options.platforms, "LIST", "Serve these platforms only, as linux/amd64,linux/arm64")
        .list("--allow", options.allow, "LIST",
              "Serve only source repositories that match one of these; * is one part of a path, ** any number")
        .list("--deny", options.deny, "LIST", "Serve no source repositories that match one of these")
        .list("--pull", options.pull, "LIST", "Who may pull: 'anonymous', or names of accounts");
}

Outcome<void> check_exclusive(const RuleOptions& options) {
    if (options.credential_set && options.identity)
        return misused("--cred-set and --identity exclude each other: a rule has one of them");
    if (options.credential_set && options.remove_credential_set)
        return misused("--cred-set and --remove-cred-set exclude each other");
    if (options.identity && options.remove_identity) return misused("--identity and --remove-identity exclude each other");
    return {};
}

/// Either the rule as it is or would be, or what the change would do.
Outcome<void> show_change(Session& session, const Answered<Json>& answer, const RuleOptions& options) {
    if (!answer) return with_replace_hint(answer.error()).failure;
    if (options.dry_run) return show_plan(session, *answer, at(*answer, "wouldChange"), false);
    return session.show_changed(*answer, rule_view());
}

Outcome<void> create_rule(Session& session, const RuleOptions& options) {
    auto sound = check_exclusive(options);
    if (!sound) return sound;
    const auto path = resource_path(collection, options.name);
    Condition condition = Condition::absent();
    if (options.replace) {
        auto existing = session.api().get(path);
        if (existing) condition = Condition::unchanged(text_at(*existing, "etag"));
        else if (existing.error().status != 404) return existing.error().failure;
    }
    Json document = rule_changes(options);
    for (auto member = document.begin(); member != document.end();)
        member = member->is_null() ? document.erase(member) : std::next(member);
    return show_change(session, session.api().put(path, document, condition, Query().flag("dryRun", options.dry_run)), options);
}

Outcome<void> update_rule(Session& session, const RuleOptions& options) {
    auto sound = check_exclusive(options);
    if (!sound) return sound;
    const Json changes = rule_changes(options);
    if (changes.empty())
        return misused(
            "nothing to update: give at least one option that says what shall change (see entrepot cache update --help)");
    const auto path = resource_path(collection, options.name);
    return show_change(session, session.api().patch(path, changes, {}, Query().flag("dryRun", options.dry_run)), options);
}

struct NameOption {
    std::string name;
};

Outcome<void> show_rule(Session& session, const NameOption& options) {
    auto rule = session.api().get(resource_path(collection, options.name));
    if (!rule) return rule.error().failure;
    return session.show(*rule, rule_view());
}

struct NoOptions {};

Outcome<void> list_rules(Session& session, const NoOptions&) {
    auto rules = session.api().list(collection);
    if (!rules) return rules.error().failure;
    return session.show(*rules, rule_view());
}

struct DeleteOptions {
    std::string name;
    bool yes = false, dry_run = false;
};

Outcome<void> delete_rule(Session& session, const DeleteOptions& options) {
    const auto path = resource_path(collection, options.name);
    if (options.dry_run) {
        auto would = session.api().remove(path, {}, Query().flag("dryRun", true));
        if (!would) return would.error().failure;
        return show_plan(session, *would, at(*would, "wouldChange"), false);
    }
    auto agreed = session.confirm(
        options.yes,
        fmt::format("Delete cache rule \"{}\"? Pulls through it end; what is stored stays until it is purged or evicted.",
                    options.name));
    if (!agreed) return agreed;
    auto removed = session.api().remove(path, {});
    if (!removed) return removed.error().failure;
    return {};
}

void declare_writing(CommandGroup& cache) {
    auto create_options = std::make_shared<RuleOptions>();
    Command create =
        cache.command("create", "Create a cache rule: repositories of ours that come from an upstream",
                      "  entrepot cache create -n docker-hub -s 'docker.io/*' -t 'hub/*' -c hub-login --pull anonymous",
                      create_options, create_rule);
    create.required("-n,--name", create_options->name, "NAME", "5 to 50 letters, digits or '-'")
        .required("-s,--source-repo", create_options->source, "REPO",
                  "Where it comes from: docker.io/library/alpine, or docker.io/*")
        .required("-t,--target-repo", create_options->target, "REPO", "What it is called here: alpine, or hub/*")
        .optional("-c,--cred-set", create_options->credential_set, "NAME", "Credential set that the upstream gets")
        .optional("--identity", create_options->identity, "ID", "Managed identity whose token the upstream gets")
        .flag("--replace", create_options->replace,
              "Replace a rule of that name; without this it is left alone and the command fails");
    add_policies(create, *create_options);
    create.flag("--dry-run", create_options->dry_run, "Say what would change and which rules overlap; change nothing")
        .resource_group();

    auto update_options = std::make_shared<RuleOptions>();
    Command update = cache.command(
        "update", "Change what is named of a cache rule; the rest stays ('default' and '' reset)",
        "  entrepot cache update -n docker-hub --tag-ttl 5m --stale-missing 24h\n  entrepot cache update -n docker-hub --remove-cred-set",
        update_options, update_rule);
    update.required("-n,--name", update_options->name, "NAME", "The rule")
        .optional("-s,--source-repo", update_options->source, "REPO", "Where it comes from")
        .optional("-t,--target-repo", update_options->target, "REPO", "What it is called here")
        .optional("-c,--cred-set", update_options->credential_set, "NAME", "Credential set that the upstream gets")
        .flag("--remove-cred-set", update_options->remove_credential_set, "No credential set any more")
        .optional("--identity", update_options->identity, "ID", "Managed identity whose token the upstream gets")
        .flag("--remove-identity", update_options->remove_identity, "No identity any more");
    add_policies(update, *update_options);
    update.flag("--dry-run", update_options->dry_run, "Say what would change and which rules overlap; change nothing")
        .resource_group();

    auto delete_options = std::make_shared<DeleteOptions>();
    cache
        .command("delete", "Delete a cache rule; what is stored stays until it is purged or evicted",
                 "  entrepot cache delete -n docker-hub -y", delete_options, delete_rule)
        .required("-n,--name", delete_options->name, "NAME", "The rule")
        .flag("-y,--yes", delete_options->yes, "Do not ask")
        .flag("--dry-run", delete_options->dry_run, "Say what would change; change nothing")
        .resource_group();
}

void declare_reading(CommandGroup& cache) {
    auto show_options = std::make_shared<NameOption>();
    cache.command("show", "Show a cache rule", "  entrepot cache show -n docker-hub -o json", show_options, show_rule)
        .required("-n,--name", show_options->name, "NAME", "The rule")
        .resource_group();
    cache.command("list", "List all cache rules", "  entrepot cache list", std::make_shared<NoOptions>(), list_rules)
        .resource_group();
}

}  // namespace

Json rule_changes(const RuleOptions& options) {
    Json document = Json::object();
    const auto add = [](Json& object, const char* member, const std::optional<std::string>& value) {
        if (value) object[member] = value_or_default(*value);
    };
    const auto add_list = [&](const char* member, const std::optional<std::vector<std::string>>& value) {
        if (value) document[member] = *value;
    };
    add(document, "sourceRepository", options.source);
    add(document, "targetRepository", options.target);
    if (options.credential_set) document["credentialSet"] = *options.credential_set;
    if (options.identity) document["identity"] = *options.identity;
    if (options.remove_credential_set) document["credentialSet"] = nullptr;
    if (options.remove_identity) document["identity"] = nullptr;
    add(document, "tagTtl", options.tag_ttl);
    Json stale = Json::object(), tags = Json::object();
    add(stale, "network", options.stale_network);
    add(stale, "serverError", options.stale_server_error);
    add(stale, "rateLimit", options.stale_rate_limit);
    add(stale, "denied", options.stale_denied);
    add(stale, "missing", options.stale_missing);
    for (const auto& [member, value] :
         {std::pair("equals", &options.tag_equals), std::pair("startsWith", &options.tag_starts_with),
          std::pair("endsWith", &options.tag_ends_with), std::pair("contains", &options.tag_contains)})
        if (*value) tags[member] = **value;
    if (!stale.empty()) document["stale"] = std::move(stale);
    if (!tags.empty()) document["tags"] = std::move(tags);
    add_list("platforms", options.platforms);
    add_list("allow", options.allow);
    add_list("deny", options.deny);
    add_list("pull", options.pull);
    return document;
}

void declare_cache_commands(CommandGroup& commands) {
    CommandGroup cache =
        commands.group("cache", "Cache rules, and what they have stored",
                       "  entrepot cache create -n docker-hub -s 'docker.io/*' -t 'hub/*'\n  entrepot cache list");
    declare_writing(cache);
    declare_reading(cache);
    declare_explain_command(cache);
    declare_content_commands(cache);
}

}  // namespace entrepot::cli
