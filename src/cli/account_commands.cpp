#include "cli/account_commands.h"

#include "cli/admin_token.h"
#include "cli/file.h"
#include "cli/plan_view.h"

#include "entrepot/base/units.h"
#include "entrepot/rules/rule_document.h"

#include <cstring>

namespace entrepot::cli {
namespace {

constexpr std::string_view collection = "/api/v1/accounts";
constexpr std::size_t password_bytes_max = 4096;

Table table_of(const std::vector<Json>& accounts) {
    Table table({"Name", "Kind", "Repositories", "Expires", "Created"});
    for (const auto& account : accounts)
        table.add({text_at(account, "name"), text_at(account, "kind"), joined_at(account, "repositories"),
                   text_at(account, "expires"), text_at(account, "creationDate")});
    return table;
}

constexpr View account_view{table_of, nullptr};

struct NameOption {
    std::string name;
};
struct NoOptions {};

// ---- passwords

struct PasswordOptions {
    std::string name;
    bool from_stdin = false;
    std::optional<std::string> file;
    std::optional<std::vector<std::string>> repositories;

    bool given() const { return from_stdin || file; }
};

Outcome<std::string> typed_password(const Session& session) {
    const auto& terminal = session.terminal();
    if (!terminal.can_ask()) return failed("there is no terminal to type a password on; use --password-stdin or --password-file");
    auto first = terminal.ask_secret("Password");
    if (!first) return first;
    auto again = terminal.ask_secret("Again");
    if (!again) return again;
    if (*first != *again) return failed("the two passwords differ; nothing was changed");
    return first;
}

Outcome<std::string> password_of(const Session& session, const PasswordOptions& options) {
    if (options.from_stdin && options.file) return misused("--password-stdin and --password-file exclude each other");
    if (options.file) return read_secret_file(*options.file, "the password file");
    if (!options.from_stdin) return typed_password(session);
    auto line = File::standard_input().read_line(password_bytes_max);
    if (!line) return failed("the password cannot be read from standard input: {}", std::strerror(line.error()));
    if (line->ends_with('\r')) line->pop_back();
    return std::move(*line);
}

/// Adds the password; an empty one is a mistake of a script more often than a wish.
Outcome<void> add_password(const Session& session, const PasswordOptions& options, Json& document) {
    auto password = password_of(session, options);
    if (!password) return password.error();
    if (password->empty()) return failed("the password is empty; nothing was changed");
    document["password"] = std::move(*password);
    return {};
}

Outcome<void> show_account(Session& session, const Answered<Json>& answer) {
    if (!answer) return answer.error().failure;
    return session.show(*answer, account_view);
}

Outcome<void> create_account(Session& session, const PasswordOptions& options) {
    Json document = Json::object();
    if (options.repositories) document["repositories"] = *options.repositories;
    auto added = add_password(session, options, document);
    if (!added) return added;
    return show_account(session, session.api().put(resource_path(collection, options.name), document, Condition::absent()));
}

Outcome<void> update_account(Session& session, const PasswordOptions& options) {
    const auto path = resource_path(collection, options.name);
    Json changes = Json::object();
    if (options.repositories) changes["repositories"] = *options.repositories;
    if (options.given() || changes.empty()) {
        auto added = add_password(session, options, changes);
        if (!added) return added;
    }
    return show_account(session, session.api().patch(path, changes, {}));
}

Outcome<void> show_one(Session& session, const NameOption& options) {
    return show_account(session, session.api().get(resource_path(collection, options.name)));
}

Outcome<void> list_accounts(Session& session, const NoOptions&) {
    auto accounts = session.api().list(collection);
    if (!accounts) return accounts.error().failure;
    return session.show(*accounts, account_view);
}

struct DeleteOptions {
    std::string name;
    bool yes = false, dry_run = false;
};

/// Rules that name it keep the name: said before the question where one is asked, else with the deed.
Outcome<void> delete_named(Session& session, const DeleteOptions& options, std::string_view what) {
    const auto path = resource_path(collection, options.name);
    const bool asks = !options.yes && session.terminal().can_ask();
    if (options.dry_run || asks) {
        auto would = session.api().remove(path, {}, Query().flag("dryRun", true));
        if (!would) return would.error().failure;
        if (options.dry_run) return show_plan(session, *would, at(*would, "wouldChange"), false);
        session.tell(at(*would, "overlaps"));
    }
    auto agreed =
        session.confirm(options.yes, fmt::format("Delete {} \"{}\"? Who uses it can pull no more.", what, options.name));
    if (!agreed) return agreed;
    auto removed = session.api().remove(path, {});
    if (!removed) return removed.error().failure;
    if (!asks) session.tell(at(*removed, "notes"));
    return {};
}
Outcome<void> delete_account(Session& session, const DeleteOptions& options) { return delete_named(session, options, "account"); }
Outcome<void> delete_token(Session& session, const DeleteOptions& options) { return delete_named(session, options, "token"); }

// ---- tokens

struct TokenOptions {
    std::string name;
    std::optional<std::string> expires;
    std::optional<std::vector<std::string>> repositories;
};

Outcome<void> create_token(Session& session, const TokenOptions& options) {
    Json document{{"kind", "token"}};
    if (options.expires) {
        const auto expires = expiry_of(*options.expires, wall_seconds());
        if (expires.empty())
            return misused("--expires takes a time such as 30d or 12h, or a date such as 2027-01-31T00:00:00Z; not '{}'",
                           *options.expires);
        document["expires"] = expires;
    }
    if (options.repositories) document["repositories"] = *options.repositories;
    auto answer = session.api().put(resource_path(collection, options.name), document, Condition::absent());
    if (!answer) return answer.error().failure;
    // Its secret is in this answer and never again, so it is what people and scripts get.
    const auto secret = text_at(*answer, "secret");
    if (secret.empty())
        return failed(
            "the server made token \"{}\" but sent no secret with it; delete it and compare the versions of server and command",
            options.name);
    Table table({"Name", "Secret", "Repositories", "Expires"});
    table.add({text_at(*answer, "name"), secret, joined_at(*answer, "repositories"), text_at(*answer, "expires")});
    Properties lines;
    lines.add("Name", text_at(*answer, "name"));
    lines.add("Secret", secret);
    lines.add("Repositories", joined_at(*answer, "repositories"));
    lines.add("Expires", text_at(*answer, "expires"));
    return session.show(*answer,
                        session.text_of(lines) + "The secret is shown this once. It is the password of: docker login -u " +
                            text_at(*answer, "name") + "\n",
                        table);
}

Outcome<void> list_tokens(Session& session, const NoOptions&) {
    auto accounts = session.api().list(collection);
    if (!accounts) return accounts.error().failure;
    std::erase_if(*accounts, [](const Json& account) { return text_at(account, "kind") != "token"; });
    return session.show(*accounts, account_view);
}

void declare_accounts(CommandGroup& commands) {
    CommandGroup accounts = commands.group(
        "account", "Accounts that may pull where a rule names them (see cache create --pull)",
        "  entrepot account create -n alice --password-file alice.pass\n  entrepot cache update -n docker-hub --pull alice");
    auto create_options = std::make_shared<PasswordOptions>();
    auto update_options = std::make_shared<PasswordOptions>();
    const auto add_options = [](Command command, PasswordOptions& options) {
        command.required("-n,--name", options.name, "NAME", "The account")
            .flag("--password-stdin", options.from_stdin, "The password is the first line of standard input")
            .optional("--password-file", options.file, "FILE",
                      "The password is the first line of this file, which others cannot read")
            .list("--repositories", options.repositories, "LIST",
                  "Repositories of ours that it may pull, as 'hub/**,team-a/*' [**]");
    };
    add_options(accounts.command(
                    "create", "Create an account; without a password option it is typed",
                    "  entrepot account create -n alice\n  pass show alice | entrepot account create -n alice --password-stdin",
                    create_options, create_account),
                *create_options);
    add_options(accounts.command("update", "Change an account's password, or what it may pull",
                                 "  entrepot account update -n alice --repositories 'hub/**'", update_options, update_account),
                *update_options);
    auto show_options = std::make_shared<NameOption>();
    accounts.command("show", "Show an account", "  entrepot account show -n alice", show_options, show_one)
        .required("-n,--name", show_options->name, "NAME", "The account");
    accounts.command("list", "List all accounts, tokens among them", "  entrepot account list", std::make_shared<NoOptions>(),
                     list_accounts);
    auto delete_options = std::make_shared<DeleteOptions>();
    accounts.command("delete", "Delete an account", "  entrepot account delete -n alice -y", delete_options, delete_account)
        .required("-n,--name", delete_options->name, "NAME", "The account")
        .flag("-y,--yes", delete_options->yes, "Do not ask")
        .flag("--dry-run", delete_options->dry_run, "Say what would change, and which rules name it; change nothing");
}

void declare_tokens(CommandGroup& commands) {
    CommandGroup tokens =
        commands.group("token", "Tokens for machines: accounts whose password is made by the server, and may expire",
                       "  entrepot token create -n ci-runner --repositories 'hub/**' --expires 90d");
    auto create_options = std::make_shared<TokenOptions>();
    tokens
        .command(
            "create", "Create a token; its secret is shown this once",
            "  entrepot token create -n ci-runner --expires 90d -o tsv | cut -f2 | docker login -u ci-runner --password-stdin HOST:5000",
            create_options, create_token)
        .required("-n,--name", create_options->name, "NAME", "The token, and the user name to log in with")
        .optional("--expires", create_options->expires, "TIME", "30d, 12h, or a date such as 2027-01-31T00:00:00Z [never]")
        .list("--repositories", create_options->repositories, "LIST", "Repositories of ours that it may pull [**]");
    tokens.command("list", "List all tokens, without their secrets", "  entrepot token list", std::make_shared<NoOptions>(),
                   list_tokens);
    auto delete_options = std::make_shared<DeleteOptions>();
    tokens.command("delete", "Delete a token", "  entrepot token delete -n ci-runner -y", delete_options, delete_token)
        .required("-n,--name", delete_options->name, "NAME", "The token")
        .flag("-y,--yes", delete_options->yes, "Do not ask")
        .flag("--dry-run", delete_options->dry_run, "Say what would change, and which rules name it; change nothing");
}

}  // namespace

std::string expiry_of(const std::string& text, std::int64_t wall) {
    if (parse_rfc3339(text)) return text;
    const auto life = parse_duration(text);
    const auto whole = life ? std::chrono::duration_cast<seconds>(*life).count() : 0;
    return whole > 0 ? rfc3339(wall + whole) : std::string();
}

void declare_account_commands(CommandGroup& commands) {
    declare_accounts(commands);
    declare_tokens(commands);
}

}  // namespace entrepot::cli
