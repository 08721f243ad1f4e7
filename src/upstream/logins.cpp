#include "upstream/logins.h"

#include "entrepot/io/blocking.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

std::string key_of(const UpstreamRequest& request) {
    return fmt::format("{}\n{}\n{}", request.upstream->login_server, request.credential ? request.credential->name : "",
                       request.repository);
}

}  // namespace

Authorization Logins::find(const UpstreamRequest& request, Instant time) {
    auto known = remembered_.find(key_of(request));
    if (known == remembered_.end()) return {};
    if (known->second.until > time) return known->second;
    remembered_.erase(known);
    return {};
}

void Logins::remember(const UpstreamRequest& request, const Authorization& authorization) {
    if (remembered_.size() >= remembered_max) remembered_.clear();
    remembered_[key_of(request)] = authorization;
}

void Logins::forget(const UpstreamRequest& request) { remembered_.erase(key_of(request)); }

Task<AuthorizationAnswer> Logins::basic(const CredentialSpec& credential, std::string refused) {
    auto known = secrets_.find(credential.name);
    bool usable = known != secrets_.end() && known->second.until > Loop::current().time() && known->second.header != refused;
    if (usable) co_return known->second;
    auto read = [&credential] { return read_secret(credential.username_reference, credential.password_reference); };
    auto secret = co_await run_blocking(Lane::resolver, read);
    if (!secret)
        co_return make_failure(Fault::policy, Code::unauthorized,
                               fmt::format("credential set '{}': {}", credential.name, secret.error()), 401);
    Authorization authorization;
    authorization.header = secret->basic_header();
    authorization.made = Loop::current().time();
    authorization.until = authorization.made + options_.secret_life;
    bool is_same = authorization.header == refused;
    wipe(refused);
    secrets_[credential.name] = authorization;
    if (is_same)
        co_return make_failure(Fault::upstream, Code::unauthorized,
                               fmt::format("the login of credential set '{}' was refused", credential.name), 401);
    co_return authorization;
}

}  // namespace entrepot
