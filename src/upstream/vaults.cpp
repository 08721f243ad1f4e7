#include "upstream/vaults.h"

#include "entrepot/io/blocking.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

constexpr int login_used_percent = 90;
constexpr std::string_view of_ended_token = " (the token has ended or was revoked)";
/// A refusal that does not say that the token has ended is most often a policy's. Each login leaves a token behind in the vault, so it is not tried with a new
/// one more often than this.
constexpr Duration doubted_login_interval_min = std::chrono::minutes(1);

UpstreamFailure unreadable(std::string_view why) { return make_failure(Fault::policy, Code::unauthorized, why, 401); }

/// Why a service does not show a secret. `reason` is " (so)" or nothing, `advice` ": do this" or nothing.
UpstreamFailure not_shown(const SecretReference& reference, const ServiceDocument& document, std::string_view reason,
                          std::string_view advice) {
    auto why = fmt::format("{}: the vault answered {}{}{}", reference.text(), document.status, reason, advice);
    if (document.status < 500 && document.status != 429) return unreadable(why);
    auto failure = make_failure(Fault::policy, Code::bad_status, why, document.status);
    if (document.retry_after) failure.retry_after = *document.retry_after;
    return failure;
}

UpstreamFailure not_shown_by_key_vault(const SecretReference& reference, const ServiceDocument& document) {
    auto code = key_vault_refusal(document.text);
    auto reason = code.empty() ? code : fmt::format(" ({})", code);
    std::string_view advice;
    if (document.status == 404) advice = ": there is no such secret";
    if (document.status == 403) advice = ": give this machine's identity the right to get secrets";
    if (code == "SecretDisabled") advice = ": enable the secret";
    if (code == "ForbiddenByFirewall") advice = ": let this machine through the vault's firewall";
    return not_shown(reference, document, reason, advice);
}

UpstreamFailure not_shown_by_vault(const VaultConfig& vault, const SecretReference& reference, const std::string& path,
                                   const ServiceDocument& document) {
    auto reason = vault_reason(document.text);
    std::string advice;
    if (document.status == 404 && reason.empty())
        advice = is_deleted_in_vault(document.text) ? ": its newest version is deleted" : ": there is no such secret";
    if (document.status == 403) advice = fmt::format(": give our login a policy that reads {}", path);
    if (reason == of_ended_token && vault.token) advice = fmt::format(": put a good one into {}", vault.token->text());
    return not_shown(reference, document, reason, advice);
}

UpstreamFailure login_refused(const VaultConfig& vault, const ServiceDocument& document) {
    auto check = vault.approle
                     ? fmt::format("role_id, the secret ID in {}, and that AppRole is at auth/{}",
                                   vault.approle->secret_id.text(), vault.approle->mount)
                     : fmt::format("role, the token in {}, and that JWT is at auth/{}", vault.jwt->file, vault.jwt->mount);
    auto is_refusal = document.status < 500 && document.status != 429;
    auto why = fmt::format("the vault answered {}{} to our login{}{}", document.status, vault_reason(document.text),
                           is_refusal ? ": check " : "", is_refusal ? check : "");
    auto failure = make_failure(Fault::policy, is_refusal ? Code::unauthorized : Code::bad_status, why, document.status);
    if (document.retry_after) failure.retry_after = *document.retry_after;
    return failure;
}

Result<SecretText, UpstreamFailure> checked(std::optional<SecretText> secret, const SecretReference& reference) {
    if (!secret) return unreadable(fmt::format("{}: there is no such text in what the vault answered", reference.text()));
    auto good = checked_secret(*std::move(secret), reference.text());
    if (!good) return unreadable(good.error());
    return *std::move(good);
}

}  // namespace

Task<Result<SecretText, UpstreamFailure>> Vaults::read(SecretReference reference) {
    if (reference.kind == SecretKind::key_vault) co_return co_await read_key_vault(reference);
    if (reference.kind == SecretKind::vault) co_return co_await read_vault(reference);
    co_return co_await read_here(std::move(reference));
}

Task<Result<SecretText, UpstreamFailure>> Vaults::read_here(SecretReference reference) {
    auto read = [&reference] { return read_secret(reference); };
    auto secret = co_await run_blocking(Lane::resolver, read);
    if (!secret) co_return unreadable(secret.error());
    co_return *std::move(secret);
}

Task<Result<SecretText, UpstreamFailure>> Vaults::read_key_vault(const SecretReference& reference) {
    auto place = key_vault_place(reference);
    auto& elsewhere = services_.config().identity.key_vault;
    auto token = co_await identities_.token(services_.config().identity.key_vault_identity, place.audience);
    if (!token) co_return as_unavailable(token.error(), reference.text());
    DocumentRequest request;
    request.url = *parse_url((elsewhere.empty() ? "https://" + place.host : elsewhere) + place.path);
    request.url.query = "api-version=7.4";
    request.add_field("Authorization", "Bearer " + token->header);
    auto answer = co_await services_.ask(services_.key_vault(), std::move(request));
    if (!answer) co_return as_unavailable(answer.error(), reference.text());
    if (answer->status != 200) co_return not_shown_by_key_vault(reference, *answer);
    co_return checked(parse_key_vault_secret(answer->text), reference);
}

DocumentRequest Vaults::vault_request(const std::string& path) const {
    auto& vault = services_.config().vault;
    DocumentRequest request;
    request.url = *parse_url(fmt::format("{}/v1/{}", vault.address, path));
    request.add_field("X-Vault-Request", "true");
    if (!vault.vault_namespace.empty()) request.add_field("X-Vault-Namespace", vault.vault_namespace);
    return request;
}

/// "kv/team/hub#password" is the field "password" of /v1/kv/data/team/hub. A token that is refused is made anew once.
Task<Result<SecretText, UpstreamFailure>> Vaults::read_vault(const SecretReference& reference) {
    if (services_.config().vault.address.empty())
        co_return unreadable(
            fmt::format("{}: no vault is known; name its address in [vault] of the configuration file", reference.text()));
    auto hash = reference.place.find('#'), slash = reference.place.find('/');
    auto path = fmt::format("{}/data{}", reference.place.substr(0, slash), reference.place.substr(slash, hash - slash));
    auto field = reference.place.substr(hash + 1);
    std::string refused;
    for (;;) {
        auto login = co_await vault_login(refused);
        if (!login) co_return as_unavailable(login.error(), reference.text());
        auto request = vault_request(path);
        request.add_field("X-Vault-Token", login->header);
        auto answer = co_await services_.ask(services_.vault(), std::move(request));
        if (!answer) co_return as_unavailable(answer.error(), reference.text());
        if (answer->status == 403 && refused.empty() && may_be_the_logins_fault(*login, *answer)) {
            refused = login->header;
            continue;
        }
        wipe(refused);
        if (answer->status != 200) co_return not_shown_by_vault(services_.config().vault, reference, path, *answer);
        co_return checked(parse_vault_secret(answer->text, field), reference);
    }
}

bool Vaults::may_be_the_logins_fault(const Authorization& login, const ServiceDocument& refusal) const {
    bool is_own_token = services_.config().vault.token.has_value();  // reading it again costs the vault nothing
    return is_own_token || vault_reason(refusal.text) == of_ended_token ||
           Loop::current().time() >= login.made + doubted_login_interval_min;
}

Task<AuthorizationAnswer> Vaults::vault_login(std::string refused) {
    const std::string everybody;
    auto time = Loop::current().time();
    auto known = login_.header.view();
    if (!known.empty() && login_.until > time && known != refused) co_return login_.shown();
    if (auto flight = logging_in_.find(everybody)) co_return co_await flight->landed();
    auto flight = logging_in_.begin(everybody);
    auto answer = co_await ask_vault_login();
    login_ = answer ? KeptAuthorization(*answer, nullptr) : KeptAuthorization();
    logging_in_.end(everybody, flight, answer);
    co_return answer;
}

/// A token of its own serves as long as it is taken, so it is only read again when it is not, or after a while.
Task<AuthorizationAnswer> Vaults::ask_vault_login() {
    auto& vault = services_.config().vault;
    auto proof = co_await vault_proof();
    if (!proof) co_return proof.error();
    Grant grant;
    if (vault.token) {
        grant.token = *std::move(proof);
        grant.life = services_.secret_life();
        co_return authorization_of("", grant, Loop::current().time());
    }
    auto request = vault_request(fmt::format("auth/{}/login", vault.approle ? vault.approle->mount : vault.jwt->mount));
    request.method = "POST";
    request.form_type = "application/json";
    request.form = vault.approle ? vault_login_text("role_id", vault.approle->role_id, "secret_id", *proof)
                                 : vault_login_text("role", vault.jwt->role, "jwt", *proof);
    auto answer = co_await services_.ask(services_.vault(), std::move(request));
    if (!answer) co_return answer.error();
    if (answer->status != 200) co_return login_refused(vault, *answer);
    auto given = parse_vault_login(answer->text);
    if (!given) co_return make_failure(Fault::policy, Code::bad_message, "the vault answered our login without a token");
    given->life = given->life * login_used_percent / 100;
    co_return authorization_of("", *given, Loop::current().time());
}

/// What the vault wants to see of us: its own token, a role's secret, or another issuer's token.
Task<Result<SecretText, UpstreamFailure>> Vaults::vault_proof() {
    auto& vault = services_.config().vault;
    if (vault.token) co_return co_await read_here(*vault.token);
    if (vault.approle) co_return co_await read_here(vault.approle->secret_id);
    ASSERT(vault.jwt);  // the configuration has exactly one of the three
    auto& path = vault.jwt->file;
    auto read = [&path]() -> SecretAnswer {
        auto file = read_own_file(path, false);
        if (!file) return file.error();
        return checked_secret(*std::move(file), "file:" + path);
    };
    auto token = co_await run_blocking(Lane::resolver, read);
    if (!token) co_return unreadable(token.error());
    co_return *std::move(token);
}

}  // namespace entrepot
