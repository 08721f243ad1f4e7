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

std::string Passwords::key_of(const Credential& credential, std::size_t login) {
    return fmt::format("{}/{}", credential.id(), login);
}

Task<AuthorizationAnswer> Passwords::get(CredentialPointer credential, std::size_t login, std::string refused,
                                         Duration secret_life) {
    ASSERT(login < credential->spec().logins.size());
    auto key = key_of(*credential, login);
    auto time = Loop::current().time();
    auto known = known_.find(key, time);
    if (known && known->header != refused) co_return *known;
    auto& pair = credential->spec().logins[login];
    bool of_vault = is_remote(pair.username) || is_remote(pair.password);
    bool is_young = known && time < known->made + reread_interval_min;
    if (is_young && of_vault) co_return was_refused(*credential);
    if (auto* failed = recently_failed(key, time)) co_return failed->failure;
    AuthorizationAnswer answer = Authorization();
    if (auto flight = flights_.find(key)) {
        answer = co_await flight->landed();
    } else {
        flight = flights_.begin(key);
        answer = co_await read(credential, login, secret_life);
        keep(key, answer, credential, of_vault);
        flights_.end(key, flight, answer);
    }
    bool is_same = answer && answer->header == refused;
    wipe(refused);
    if (is_same) co_return was_refused(*credential);
    co_return answer;
}

const Passwords::Failed* Passwords::recently_failed(const std::string& key, Instant time) const {
    auto found = failed_.find(key);
    return found != failed_.end() && time < found->second.time + reread_interval_min ? &found->second : nullptr;
}

void Passwords::keep(const std::string& key, const AuthorizationAnswer& answer, const CredentialPointer& credential,
                     bool of_vault) {
    failed_.erase(key);
    if (answer) return known_.keep(key, *answer, credential);
    if (!of_vault) return;
    if (failed_.size() >= passwords_max) failed_.clear();
    failed_.emplace(key, Failed{Loop::current().time(), answer.error()});
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
