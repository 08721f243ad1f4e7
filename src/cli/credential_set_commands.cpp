#include "cli/credential_set_commands.h"

#include "cli/credential_set_view.h"
#include "cli/plan_view.h"

namespace entrepot::cli {
namespace {

constexpr std::string_view collection = "/api/v1/credential-sets";
constexpr const char* reference_help =
    "file:PATH, env:NAME, systemd:NAME, vault:PATH#FIELD or https://VAULT.vault.azure.net/secrets/NAME; never the secret itself";

constexpr const char* username_member = "usernameSecretIdentifier";
constexpr const char* password_member = "passwordSecretIdentifier";

/// A pair as a client may write it, changed by what was given.
Json pair_with(const Json& pair, const std::optional<std::string>& username, const std::optional<std::string>& password) {
    return {{username_member, username ? *username : text_at(pair, username_member)},
            {password_member, password ? *password : text_at(pair, password_member)}};
}

bool is_whole(const Json& pair) { return !text_at(pair, username_member).empty() && !text_at(pair, password_member).empty(); }

bool changes_pairs(const CredentialSetOptions& options) {
    return options.username || options.password || options.secondary_username || options.secondary_password ||
           options.remove_secondary;
}

Outcome<void> show_change(Session& session, const Answered<Json>& answer, const CredentialSetOptions& options) {
    if (!answer) return with_replace_hint(answer.error()).failure;
    if (options.dry_run) return show_plan(session, *answer, at(*answer, "wouldChange"), false);
    return session.show_changed(*answer, credential_set_view());
}

Outcome<void> create_set(Session& session, const CredentialSetOptions& options) {
    const auto path = resource_path(collection, options.name);
    Condition condition = Condition::absent();
    if (options.replace) {
        auto existing = session.api().get(path);
        if (existing) condition = Condition::unchanged(text_at(*existing, "etag"));
        else if (existing.error().status != 404) return existing.error().failure;
    }
    auto document = credential_set_changes(options, Json());
    if (!document) return document.error();
    return show_change(session, session.api().put(path, *document, condition, Query().flag("dryRun", options.dry_run)), options);
}

Outcome<void> update_set(Session& session, const CredentialSetOptions& options) {
    if (!options.login_server && !changes_pairs(options))
        return misused(
            "nothing to update: give -u, -p, -l, or one of the secondary options (see entrepot credential-set update --help)");
    const auto path = resource_path(collection, options.name);
    auto existing = session.api().get(path);
    if (!existing) return existing.error().failure;
    auto changes = credential_set_changes(options, at(*existing, "authCredentials"));
    if (!changes) return changes.error();
    const auto condition = Condition::unchanged(text_at(*existing, "etag"));
    return show_change(session, session.api().patch(path, *changes, condition, Query().flag("dryRun", options.dry_run)), options);
}

struct NameOption {
    std::string name;
};

Outcome<void> show_set(Session& session, const NameOption& options) {
    auto set = session.api().get(resource_path(collection, options.name));
    if (!set) return set.error().failure;
    return session.show(*set, credential_set_view());
}

struct NoOptions {};

Outcome<void> list_sets(Session& session, const NoOptions&) {
    auto sets = session.api().list(collection);
    if (!sets) return sets.error().failure;
    return session.show(*sets, credential_set_view());
}

/// What is wrong with a pair, and what to do where the server cannot know: of two logins only its owner knows which was meant.
std::string trouble_of(const Json& health, const std::string& set) {
    auto said = text_at(health, "errorMessage");
    const auto itself = fmt::format("credential set '{}': ", set);
    if (said.starts_with(itself)) said.erase(0, itself.size());
    const auto code = text_at(health, "errorCode");
    if (code == "Unauthorized" || code == "Denied")
        said += "; correct the login where it is kept, or name another with credential-set update";
    return said;
}

/// Exit 0 only when every pair works: scripts ask for that.
Outcome<void> check_set(Session& session, const NameOption& options) {
    auto set = session.api().post(resource_path(collection, options.name) + "/check");
    if (!set) return set.error().failure;
    auto shown = session.show(*set, credential_set_view());
    if (!shown) return shown;
    const Json& pairs = at(*set, "authCredentials");
    if (!pairs.is_array()) return {};
    for (const auto& pair : pairs) {
        const Json& health = at(pair, "credentialHealth");
        if (text_at(health, "status") != "Unhealthy") continue;
        return failed("{} of credential set \"{}\" does not work: {}", text_at(pair, "name"), options.name,
                      trouble_of(health, options.name));
    }
    return {};
}

struct DeleteOptions {
    std::string name;
    bool yes = false, dry_run = false;
};

Outcome<void> delete_set(Session& session, const DeleteOptions& options) {
    const auto path = resource_path(collection, options.name);
    if (options.dry_run) {
        auto would = session.api().remove(path, {}, Query().flag("dryRun", true));
        if (!would) return would.error().failure;
        return show_plan(session, *would, at(*would, "wouldChange"), false);
    }
    auto agreed = session.confirm(options.yes, fmt::format("Delete credential set \"{}\"?", options.name));
    if (!agreed) return agreed;
    auto removed = session.api().remove(path, {});
    if (!removed) return removed.error().failure;
    return {};
}

void declare_writing(CommandGroup& sets) {
    auto create_options = std::make_shared<CredentialSetOptions>();
    Command create = sets.command(
        "create", "Create a credential set: where a login server's username and password are kept",
        "  entrepot credential-set create -n hub-login -l docker.io -u file:/etc/entrepot/hub.user -p file:/etc/entrepot/hub.pass",
        create_options, create_set);
    create.required("-n,--name", create_options->name, "NAME", "5 to 50 letters, digits or '-'")
        .required("-l,--login-server", create_options->login_server, "HOST", "The registry they are for, as docker.io")
        .required("-u,--username-id", create_options->username, "REF", std::string("Where the username is: ") + reference_help)
        .required("-p,--password-id", create_options->password, "REF", "Where the password is")
        .optional("--secondary-username-id", create_options->secondary_username, "REF",
                  "A second pair, used when the first is refused")
        .optional("--secondary-password-id", create_options->secondary_password, "REF", "Its password")
        .flag("--replace", create_options->replace,
              "Replace a set of that name; without this it is left alone and the command fails")
        .flag("--dry-run", create_options->dry_run, "Say what would change; change nothing")
        .resource_group();

    auto update_options = std::make_shared<CredentialSetOptions>();
    sets.command("update", "Change what is named of a credential set; the rest stays",
                 "  entrepot credential-set update -n hub-login -p https://myvault.vault.azure.net/secrets/newpassword",
                 update_options, update_set)
        .required("-n,--name", update_options->name, "NAME", "The set")
        .optional("-l,--login-server", update_options->login_server, "HOST", "The registry they are for")
        .optional("-u,--username-id", update_options->username, "REF", "Where the username is")
        .optional("-p,--password-id", update_options->password, "REF", "Where the password is")
        .optional("--secondary-username-id", update_options->secondary_username, "REF",
                  "A second pair, used when the first is refused")
        .optional("--secondary-password-id", update_options->secondary_password, "REF", "Its password")
        .flag("--remove-secondary", update_options->remove_secondary, "No second pair any more")
        .flag("--dry-run", update_options->dry_run, "Say what would change; change nothing")
        .resource_group();

    auto delete_options = std::make_shared<DeleteOptions>();
    sets.command("delete", "Delete a credential set that no rule uses", "  entrepot credential-set delete -n hub-login -y",
                 delete_options, delete_set)
        .required("-n,--name", delete_options->name, "NAME", "The set")
        .flag("-y,--yes", delete_options->yes, "Do not ask")
        .flag("--dry-run", delete_options->dry_run, "Say what would change; change nothing")
        .resource_group();
}

}  // namespace

Outcome<Json> credential_set_changes(const CredentialSetOptions& options, const Json& pairs) {
    Json document = Json::object();
    if (options.login_server) document["loginServer"] = *options.login_server;
    if (!changes_pairs(options)) return document;
    const bool adds_secondary = options.secondary_username || options.secondary_password;
    if (adds_secondary && options.remove_secondary) return misused("--remove-secondary excludes the other secondary options");
    const auto pair_at = [&](std::size_t i) { return pairs.is_array() && i < pairs.size() ? pairs[i] : Json(); };
    Json after = Json::array({pair_with(pair_at(0), options.username, options.password)});
    const Json second = pair_with(pair_at(1), options.secondary_username, options.secondary_password);
    if (adds_secondary && !is_whole(second)) return misused("--secondary-username-id and --secondary-password-id go together");
    if (is_whole(second) && !options.remove_secondary) after.push_back(second);
    document["authCredentials"] = std::move(after);
    return document;
}

void declare_credential_set_commands(CommandGroup& commands) {
    CommandGroup sets =
        commands.group("credential-set", "Usernames and passwords for upstreams: where they are kept, never what they are",
                       "  entrepot credential-set list\n  entrepot credential-set check -n hub-login");
    declare_writing(sets);
    auto show_options = std::make_shared<NameOption>();
    sets.command("show", "Show a credential set and whether it works", "  entrepot credential-set show -n hub-login",
                 show_options, show_set)
        .required("-n,--name", show_options->name, "NAME", "The set")
        .resource_group();
    sets.command("list", "List all credential sets", "  entrepot credential-set list", std::make_shared<NoOptions>(), list_sets)
        .resource_group();
    auto check_options = std::make_shared<NameOption>();
    sets.command("check", "Try a credential set at its registry now; fails when it does not work",
                 "  entrepot credential-set check -n hub-login", check_options, check_set)
        .required("-n,--name", check_options->name, "NAME", "The set");
}

}  // namespace entrepot::cli
