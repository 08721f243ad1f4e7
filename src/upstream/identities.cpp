#include "upstream/identities.h"

#include "entrepot/base/random.h"
#include "entrepot/http/jwt.h"
#include "entrepot/io/blocking.h"
#include "entrepot/net/tls_signer.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace entrepot {
namespace {

constexpr std::int64_t assertion_life = 10 * 60;  // seconds; what the directory accepts at most is a day
constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

UpstreamFailure no_identity(std::string_view why) { return make_failure(Fault::policy, Code::unauthorized, why, 401); }

/// What an answer that is no 200 says.
UpstreamFailure refused_by(const Origin& origin, const ServiceDocument& document) {
    auto reason = authority_refusal(document.text);
    auto why = fmt::format("{} answered {}{}{}{}", origin.text(), document.status, reason.empty() ? "" : " (", reason,
                           reason.empty() ? "" : ")");
    bool is_refusal = document.status >= 400 && document.status < 500 && document.status != 429;
    auto failure = is_refusal ? no_identity(why) : make_failure(Fault::policy, Code::bad_status, why, document.status);
    if (document.retry_after) failure.retry_after = *document.retry_after;
    return failure;
}

AuthorizationAnswer token_in(const Origin& origin, const DocumentAnswer& answer) {
    if (!answer) return as_unavailable(answer.error(), "no token for the identity");
    if (answer->status != 200) return refused_by(origin, *answer);
    auto grant = parse_access_token(answer->text, wall_seconds());
    if (!grant) return make_failure(Fault::policy, Code::bad_message, fmt::format("{} answered without a token", origin.text()));
    return authorization_of("", *grant, Loop::current().time());
}

}  // namespace

Authorization authorization_of(std::string_view scheme, const Grant& grant, Instant time) {
    Authorization authorization;
    authorization.header.reserve(scheme.size() + grant.token.text().size());
    authorization.header.append(scheme).append(grant.token.text());
    authorization.made = time;
    authorization.until = time + grant.life;
    return authorization;
}

bool is_challenge_path(std::string_view path, std::string_view directory) noexcept {
    constexpr std::string_view suffix = ".key";
    if (!path.starts_with(directory) || !path.ends_with(suffix)) return false;
    auto name = path.substr(directory.size());
    if (!name.starts_with('/')) return false;
    name.remove_prefix(1);
    return name.size() > suffix.size() && name.size() <= 255 && name.find('/') == name.npos && name.find('\0') == name.npos;
}

Task<AuthorizationAnswer> Identities::token(IdentityReference identity, std::string audience) {
    auto key = fmt::format("{}\n{}", identity.text(), audience);
    auto time = Loop::current().time();
    auto known = known_.find(key, time);
    auto kept = known ? *known : Authorization();
    if (known && time < kept.made + (kept.until - kept.made) * used_percent / 100) co_return kept;
    if (auto flight = flights_.find(key)) {
        if (known) co_return kept;
        co_return co_await flight->landed();
    }
    auto flight = flights_.begin(key);
    auto answer = co_await ask(identity, audience);
    if (answer) known_.keep(key, *answer, nullptr);
    else if (kept.until > Loop::current().time()) answer = kept;
    flights_.end(key, flight, answer);
    co_return answer;
}

Task<AuthorizationAnswer> Identities::ask(const IdentityReference& identity, const std::string& audience) {
    switch (identity.kind) {
        case IdentityKind::metadata: co_return co_await ask_metadata(identity, audience);
        case IdentityKind::arc: co_return co_await ask_arc(audience);
        case IdentityKind::federated:
        case IdentityKind::certificate: co_return co_await ask_authority(identity, audience);
        case IdentityKind::system: break;
    }
    auto& directory = services_.config().identity.arc_tokens;
    auto has_agent = [&directory] {
        struct stat status {};
        return ::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    };
    bool with_agent = co_await run_blocking(Lane::resolver, has_agent);
    if (with_agent) co_return co_await ask_arc(audience);
    co_return co_await ask_metadata(identity, audience);
}

Task<AuthorizationAnswer> Identities::ask_metadata(const IdentityReference& identity, const std::string& audience) {
    DocumentRequest request;
    request.url = *parse_url(services_.config().identity.metadata + "/metadata/identity/oauth2/token");
    request.url.query = add_query("api-version=2018-02-01", "resource", audience);
    if (!identity.client_id.empty()) request.url.query = add_query(request.url.query, "client_id", identity.client_id);
    if (!identity.resource_id.empty()) request.url.query = add_query(request.url.query, "msi_res_id", identity.resource_id);
    request.add_field("Metadata", "true");
    auto origin = request.url.origin;
    auto answer = co_await services_.ask(Services::machine(), std::move(request));
    co_return token_in(origin, answer);
}

/// The agent first says which file only its friends can read, and then wants to see what is in it.
Task<AuthorizationAnswer> Identities::ask_arc(const std::string& audience) {
    DocumentRequest request;
    request.url = *parse_url(services_.config().identity.arc + "/metadata/identity/oauth2/token");
    request.url.query = add_query("api-version=2020-06-01", "resource", audience);
    request.add_field("Metadata", "true");
    auto origin = request.url.origin;
    auto question = request;
    auto asked = co_await services_.ask(Services::machine(), std::move(question));
    if (!asked || asked->status != 401) co_return token_in(origin, asked);
    auto key = co_await answer_challenge(*asked);
    if (!key) co_return key.error();
    auto shown = "Basic " + key->text();
    request.add_field("Authorization", shown);
    wipe(shown);
    auto answer = co_await services_.ask(Services::machine(), std::move(request));
    co_return token_in(origin, answer);
}

Task<Result<SecretText, UpstreamFailure>> Identities::answer_challenge(const ServiceDocument& refused) {
    auto* challenge = find_challenge(refused.challenges, "basic");
    auto path = std::string(challenge ? challenge->param("realm").value_or("") : "");
    auto& directory = services_.config().identity.arc_tokens;
    if (!is_challenge_path(path, directory))
        co_return no_identity(
            fmt::format("what answers at Azure Arc's port wants to see a file that is no .key in {}", directory));
    auto read = [&path] { return read_challenge_file(path); };
    auto key = co_await run_blocking(Lane::resolver, read);
    if (!key) co_return no_identity(key.error());
    auto& text = key->text();
    bool is_plain = !text.empty() && text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos;
    if (!is_plain) co_return no_identity("Azure Arc's challenge file holds no key");
    co_return *std::move(key);
}

/// RFC 7523 section 2.2, with what another issuer or our own certificate says of us.
Task<AuthorizationAnswer> Identities::ask_authority(const IdentityReference& identity, const std::string& audience) {
    DocumentRequest request;
    request.url = *parse_url(fmt::format("{}/{}/oauth2/v2.0/token", services_.config().identity.authority, identity.tenant));
    auto authority = request.url.text();
    auto proof = co_await assertion(identity, authority);
    if (!proof) co_return proof.error();
    request.add_to_form("grant_type", "client_credentials");
    request.add_to_form("client_id", identity.client_id);
    request.add_to_form("scope", audience + "/.default");
    request.add_to_form("client_assertion_type", assertion_type);
    request.add_to_form("client_assertion", proof->text());
    auto origin = request.url.origin;
    auto answer = co_await services_.ask(services_.authority(), std::move(request));
    co_return token_in(origin, answer);
}

Task<Result<SecretText, UpstreamFailure>> Identities::assertion(const IdentityReference& identity, const std::string& authority) {
    ClientAssertion claims;
    claims.client = identity.client_id;
    claims.audience = authority;
    claims.id = fmt::format("{:016x}{:016x}", random_bits(), random_bits());
    claims.from = wall_seconds();
    claims.until = claims.from + assertion_life;
    bool is_file = identity.kind == IdentityKind::federated;
    auto prove = [&]() -> SecretAnswer {
        auto file = read_own_file(identity.path, !is_file);
        if (!file) return file.error();
        if (is_file) return checked_secret(*std::move(file), "file:" + identity.path);
        auto signer = TlsSigner::load(file->text(), identity.path);
        if (!signer) return signer.error();
        claims.thumbprint = (*signer)->thumbprint();
        auto text = signing_input(claims);
        auto signature = (*signer)->sign(text);
        if (signature.empty()) return fmt::format("the key in {} cannot sign", identity.path);
        return SecretText(text + "." + base64url(signature));
    };
    auto proof = co_await run_blocking(Lane::resolver, prove);
    if (!proof) co_return no_identity(proof.error());
    co_return *std::move(proof);
}

}  // namespace entrepot
