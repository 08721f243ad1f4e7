#pragma once
// What everybody knows about the public registries and no operator should have to write down: where a login server's API
// really is, and which other hosts hand out its tokens. A fixed table; an [[upstream]] in the configuration file goes first.

#include <span>
#include <string_view>

namespace entrepot {

struct KnownRegistry {
    std::string_view login_server;
    std::string_view endpoint_host;                 ///< asked over https, port 443
    std::span<const std::string_view> realm_hosts;  ///< token realms that may see its credentials, besides the endpoint itself
};

/// Null for a login server without an entry: its endpoint is `https://<login server>` and its realm must be on that host.
const KnownRegistry* find_known_registry(std::string_view login_server) noexcept;

/// The name that rules and tables use: Docker Hub has three (docker.io, index.docker.io, registry-1.docker.io), all others
/// one. `login_server` is in lower case; the result is it, or a literal.
std::string_view canonical_login_server(std::string_view login_server) noexcept;

/// The login servers that are mapped one to one when the configuration has no rule: Docker Hub, MCR, ECR Public, GHCR,
/// NVIDIA, Quay, Kubernetes, gcr.io with its regional names, and the Artifact Registry hosts (`<place>-docker.pkg.dev`).
std::span<const std::string_view> default_login_servers() noexcept;

}  // namespace entrepot
