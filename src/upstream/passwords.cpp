#include "upstream/passwords.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

bool is_remote(const SecretReference& reference) noexcept {
    return reference.kind == SecretKind::vault || reference.kind == SecretKind::key_vault;
}

UpstreamFailure was_refused(const Credential& credential) {
    return make_failure(Fault::upstream, Code::unauthorized,
                        fmt::format("the login of credential set '{}' was refused", credential.name()), 401);
}

}  // namespace

Task<AuthorizationAnswer> Passwords::get(CredentialPointer credential, std::size_t login, std::string refused,
                                         Duration secret_life) {
    ASSERT(login < credential->spec().logins.size());
    auto key = fmt::format("{}/{}", credential->id(), login);
    auto time = Loop::current().time();
    auto* known = known_.find(key, time);
    if (known && known->header != refused) co_return *known;
    auto& pair = credential->spec().logins[login];
    bool is_young = known && time < known->made + reread_interval_min;
    if (is_young && (is_remote(pair.username) || is_remote(pair.password))) co_return was_refused(*credential);
    AuthorizationAnswer answer = Authorization();
    if (auto flight = flights_.find(key)) {
        answer = co_await flight->landed();
    } else {
        flight = flights_.begin(key);
        answer = co_await read(credential, login, secret_life);
        if (answer) known_.keep(key, *answer, credential);
        flights_.end(key, flight, answer);
    }
    bool is_same = answer && answer->header == refused;
    wipe(refused);
    if (is_same) co_return was_refused(*credential);
    co_return answer;
}

Task<AuthorizationAnswer> Passwords::read(const CredentialPointer& credential, std::size_t login, Duration secret_life) {
    auto& pair = credential->spec().logins[login];
    auto of_set = [&](const UpstreamFailure& failure) {
        return as_unavailable(failure, fmt::format("credential set '{}'", credential->name()));
    };
    auto user = co_await vaults_.read(pair.username);
    if (!user) co_return of_set(user.error());
    auto password = co_await vaults_.read(pair.password);
    if (!password) co_return of_set(password.error());
    auto secret = login_of(*std::move(user), *std::move(password), pair.username);
    if (!secret)
        co_return make_failure(Fault::policy, Code::unauthorized,
                               fmt::format("credential set '{}': {}", credential->name(), secret.error()), 401);
    Authorization authorization;
    authorization.header = secret->basic_header();
    authorization.login = login;
    authorization.made = Loop::current().time();
    authorization.until = authorization.made + secret_life;
    co_return authorization;
}

}  // namespace entrepot
