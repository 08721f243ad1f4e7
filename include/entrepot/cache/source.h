#pragma once
// Where content of one request comes from, and by whose rights: what a route (rules) becomes once the upstream is known. A value, made per request.

#include "entrepot/rules/cache_rule.h"
#include "entrepot/upstream/upstream.h"

#include <string>

namespace entrepot {

struct Source {
    const UpstreamSpec* upstream = nullptr;
    CredentialPointer credential;  ///< null: anonymous
    std::string repository;        ///< "library/alpine"
    std::string ledger_name;       ///< "docker.io/library/alpine"
    Duration tag_ttl = std::chrono::seconds(60);
    StalePolicy stale;            ///< of the rule
    std::uint64_t freshness = 0;  ///< CacheRule::freshness(): whose judgement of a tag's age a hot entry remembers
    ClientKey client = 0;         ///< who asks, where he has to wait with others
    std::uint64_t key = 0;        ///< hash of scope and ledger_name: which grant a hot entry remembers

    const std::string& scope() const noexcept;
};

/// A question about the source's repository, by its rights: "manifests/latest", "blobs/sha256:...".
UpstreamRequest request_of(const Source& source, UpstreamKind kind, std::string resource);

Source make_source(const UpstreamSpec& upstream, CredentialPointer credential, std::string_view repository, Duration tag_ttl);

}  // namespace entrepot
