#pragma once
// Which identity of the cloud's directory this machine takes, never its token or key:
//
//   system                                          what the machine is by itself: Azure Arc where its agent runs, else the instance metadata service
//   imds, imds:CLIENT_ID                            the instance metadata service; its system-assigned identity, or the one of that client
//   /subscriptions/.../userAssignedIdentities/NAME  likewise, by the identity's resource id
//   arc                                             Azure Arc's local agent
//   federated:CLIENT_ID@TENANT:/path                workload identity: a token file that another issuer keeps fresh
//   certificate:CLIENT_ID@TENANT:/path              a client certificate with its key, both as PEM in one file

#include "entrepot/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot {

enum class IdentityKind : std::uint8_t { system, metadata, arc, federated, certificate };

struct IdentityReference {
    IdentityKind kind = IdentityKind::system;
    std::string client_id;    ///< of metadata (empty: system-assigned, unless resource_id says which), federated, certificate
    std::string tenant;       ///< of federated, certificate: a GUID or a domain
    std::string resource_id;  ///< of metadata
    std::string path;         ///< of federated, certificate; absolute

    std::string text() const;
    friend bool operator==(const IdentityReference&, const IdentityReference&) = default;
};

/// The error is a phrase that follows the quoted key.
Result<IdentityReference, std::string> parse_identity_reference(std::string_view text);

}  // namespace entrepot
