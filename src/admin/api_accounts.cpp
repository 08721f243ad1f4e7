// /api/v1/accounts, what makes and changes one; lists, views and removal are in api_resources.cpp with those of other kinds. Passwords come in and are hashed on a lane
// of their own before the change has its turn; a token's secret is made here, and the answer to that one request is all that ever holds it.

#include "admin/api_change.h"
#include "admin/handlers.h"
#include "entrepot/access/password.h"
#include "entrepot/access/shown_credentials.h"
#include "entrepot/access/token_secret.h"
#include "entrepot/admin/json_document.h"
#include "entrepot/io/blocking.h"

namespace entrepot {
namespace {

ApiError invalid(std::string message) { return {400, "AccountInvalid", std::move(message)}; }

/// What the body asks for, with its password out of the body.
Result<AccountChange, ApiError> read_change(ApiCall& call) {
    auto change = read_account_change(call.body);
    if (auto password = call.body.find("password"); password != call.body.end() && password->is_string())
        wipe_secret(password->get_ref<std::string&>());
    if (!change) return invalid(fmt::format("account \"{}\": {}", escaped(call.name, 150), change.error()));
    return *std::move(change);
}

/// "" when there is no password to hash.
Task<Result<std::string>> hash_away(std::string& password) {
    if (password.empty()) co_return std::string();
    auto work = [&] { return hash_password(password); };
    auto hash = co_await run_blocking(Lane::password, work);
    wipe_secret(password);
    co_return hash;
}

std::vector<RepositoryPattern> every_repository() {
    std::vector<std::string> texts{"**"};
    return *parse_repository_patterns(texts);
}

/// Puts what is given in the place of what was.
void apply(const AccountChange& change, std::string hash, Account& account) {
    if (!hash.empty()) account.hash = std::move(hash);
    if (change.repositories) account.repositories = *change.repositories;
    if (change.expires) account.expires = *change.expires;
}

AnyChange replacement(std::string name, Precondition when, AccountChange change, std::string hash) {
    auto edited = [change, hash, name](const Account* before) -> Result<std::optional<Account>, std::string> {
        Account account;
        account.name = name;
        account.kind = change.kind.value_or(AccountKind::password);
        account.repositories = every_repository();
        account.created = before ? before->created : wall_seconds();
        apply(change, hash, account);
        return std::optional(std::move(account));
    };
    return Change<Account>{std::move(name), std::move(when), edited};
}

AnyChange amendment(std::string name, Precondition when, AccountChange change, std::string hash) {
    auto edited = [change, hash](const Account* before) -> Result<std::optional<Account>, std::string> {
        auto account = *before;
        if (change.kind && *change.kind != account.kind) return std::string("its kind cannot be changed; replace it with PUT");
        if (!hash.empty() && account.kind == AccountKind::token)
            return std::string("a token has no password; replace it with PUT for a new secret");
        apply(change, hash, account);
        return std::optional(std::move(account));
    };
    return Change<Account>{std::move(name), std::move(when), edited};
}

/// The one time that it is shown; not in refusals, nor of what was not made.
void show_secret(ApiReply& reply, const std::string& secret) {
    if (reply.status != 200 && reply.status != 201) return;
    auto document = JsonDocument::parse(reply.text, nullptr, false);
    if (!document.is_object() || !document.contains("kind")) return;
    document["secret"] = secret;
    reply.text = write_json(document);
}

const ApiError no_memory{503, "Busy", "there is no memory to hash a password with; try again in a moment"};

}  // namespace

Task<ApiReply> put_account(ApiCall& call) {
    if (call.if_match.empty() && call.if_none_match.empty())
        co_return ApiError(428, "PreconditionRequired",
                           "say whether to create (If-None-Match: *) or to replace (If-Match: * or the etag that you saw)");
    auto change = read_change(call);
    if (!change) co_return change.error();
    bool is_token = change->kind == AccountKind::token;
    if (!is_token && change->password.empty())
        co_return invalid(fmt::format("account \"{}\": give a password, or \"kind\": \"token\" for a secret that is made here",
                                      escaped(call.name, 150)));
    auto secret = is_token ? make_token_secret() : std::string();
    auto hash = co_await hash_away(change->password);
    if (!hash) co_return no_memory;
    if (is_token) hash = hash_token_secret(secret);
    auto replaced = replacement(call.name, precondition_of(call), *std::move(change), *std::move(hash));
    auto reply = co_await make_change(call, std::move(replaced));
    if (is_token) show_secret(reply, secret);
    wipe_secret(secret);
    co_return reply;
}

Task<ApiReply> patch_account(ApiCall& call) {
    auto change = read_change(call);
    if (!change) co_return change.error();
    auto hash = co_await hash_away(change->password);
    if (!hash) co_return no_memory;
    auto when = precondition_of(call);
    when.must_exist = true;
    auto amended = amendment(call.name, std::move(when), *std::move(change), *std::move(hash));
    co_return co_await make_change(call, std::move(amended));
}

}  // namespace entrepot
