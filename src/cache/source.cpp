#include "entrepot/cache/source.h"

#include "entrepot/base/random.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace entrepot {

const std::string& Source::scope() const noexcept {
    static const std::string anonymous;
    return credential ? credential->scope() : anonymous;
}

UpstreamRequest request_of(const Source& source, UpstreamKind kind, std::string resource) {
    UpstreamRequest request;
    request.upstream = source.upstream;
    request.credential = source.credential;
    request.kind = kind;
    request.repository = source.repository;
    request.resource = std::move(resource);
    request.head = kind == UpstreamKind::manifest_head;
    request.client = source.client;
    return request;
}

Source make_source(const UpstreamSpec& upstream, CredentialPointer credential, std::string_view repository, Duration tag_ttl) {
    Source source;
    source.upstream = &upstream;
    source.credential = std::move(credential);
    source.repository = repository;
    source.ledger_name.reserve(upstream.login_server.size() + 1 + repository.size());
    source.ledger_name.append(upstream.login_server).append(1, '/').append(repository);
    source.tag_ttl = tag_ttl;
    // The seed is the process's secret: a stranger cannot choose two repositories that share a key.
    auto& scope = source.scope();
    auto scope_hash = scope.empty() ? hash_seed() : XXH3_64bits_withSeed(scope.data(), scope.size(), hash_seed());
    source.key = XXH3_64bits_withSeed(source.ledger_name.data(), source.ledger_name.size(), scope_hash);
    return source;
}

}  // namespace entrepot
