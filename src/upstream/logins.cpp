#include "upstream/logins.h"

#include <fmt/format.h>

namespace entrepot {
namespace {

std::string key_of(const UpstreamRequest& request) {
    return fmt::format("{}\n{}\n{}", request.upstream->login_server, id_of(request.credential), request.repository);
}

std::uint64_t key_of(const Credential& credential, std::size_t login) { return credential.id() * credential_logins_max + login; }

}  // namespace

Authorization Logins::find(const UpstreamRequest& request, Instant time) {
    auto known = remembered_.find(key_of(request), time);
    return known ? *known : Authorization();
}

void Logins::remember(const UpstreamRequest& request, const Authorization& authorization) {
    remembered_.keep(key_of(request), authorization, request.credential);
}

void Logins::forget(const UpstreamRequest& request) { remembered_.forget(key_of(request)); }

std::optional<Authorization> Logins::find_basic(const Credential& credential, std::size_t login, Instant time) {
    return basics_.find(key_of(credential, login), time);
}

void Logins::keep_basic(const CredentialPointer& credential, const Authorization& authorization) {
    basics_.keep(key_of(*credential, authorization.login), authorization, credential);
}

}  // namespace entrepot
