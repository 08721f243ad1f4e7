#include "upstream/logins.h"

#include "entrepot/io/blocking.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

std::string key_of(const UpstreamRequest& request) {
    return fmt::format("{}\n{}\n{}", request.upstream->login_server, id_of(request.credential), request.repository);
}

}  // namespace

Authorization Logins::find(const UpstreamRequest& request, Instant time) {
    auto* known = remembered_.find(key_of(request), time);
    return known ? *known : Authorization();
}

void Logins::remember(const UpstreamRequest& request, const Authorization& authorization) {
    remembered_.keep(key_of(request), authorization, request.credential);
}

void Logins::forget(const UpstreamRequest& request) { remembered_.forget(key_of(request)); }

Task<AuthorizationAnswer> Logins::basic(CredentialPointer credential, std::string refused) {
    auto* known = secrets_.find(credential->id(), Loop::current().time());
    if (known && known->header != refused) co_return *known;
    auto& login = credential->spec().logins.front();
    auto read = [&login] { return read_secret(login.username.text(), login.password.text()); };
    auto secret = co_await run_blocking(Lane::resolver, read);
    if (!secret)
        co_return make_failure(Fault::policy, Code::unauthorized,
                               fmt::format("credential set '{}': {}", credential->name(), secret.error()), 401);
    Authorization authorization;
    authorization.header = secret->basic_header();
    authorization.made = Loop::current().time();
    authorization.until = authorization.made + options_.secret_life;
    bool is_same = authorization.header == refused;
    wipe(refused);
    secrets_.keep(credential->id(), authorization, credential);
    if (is_same)
        co_return make_failure(Fault::upstream, Code::unauthorized,
                               fmt::format("the login of credential set '{}' was refused", credential->name()), 401);
    co_return authorization;
}

}  // namespace entrepot
