#pragma once
// The services that keep secrets and vouch for identities: the tables [vault] and [identity] of the configuration file. What stands here the operator wrote, so
// these places may lie on private addresses; nothing that a registry or a client says ever leads to another one.

#include "entrepot/rules/identity_reference.h"
#include "entrepot/rules/secret_reference.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

struct VaultAppRole {
    std::string role_id;
    SecretReference secret_id;
    std::string mount = "approle";
    friend bool operator==(const VaultAppRole&, const VaultAppRole&) = default;
};
struct VaultJwt {
    std::string role;
    std::string file;  ///< absolute; another program keeps it fresh
    std::string mount = "jwt";
    friend bool operator==(const VaultJwt&, const VaultJwt&) = default;
};

/// HashiCorp Vault. At most one way to log in; without any, references to it are refused when they are read.
struct VaultConfig {
    std::string address;          ///< "https://vault.corp.example:8200"; empty: there is none
    std::string ca_file;          ///< empty: the system's trust store
    std::string vault_namespace;  ///< empty: the root one
    std::optional<SecretReference> token;
    std::optional<VaultAppRole> approle;
    std::optional<VaultJwt> jwt;
    friend bool operator==(const VaultConfig&, const VaultConfig&) = default;
};

/// Where the identities of a cloud's directory are asked for; the defaults are the public cloud's.
struct IdentityConfig {
    std::string authority = "https://login.microsoftonline.com";
    std::string metadata = "http://169.254.169.254";
    std::string arc = "http://127.0.0.1:40342";
    std::string arc_tokens = "/var/opt/azcmagent/tokens";          ///< the only directory of which a file is shown to Arc's agent
    std::string audience = "https://containerregistry.azure.net";  ///< of the tokens that registries exchange
    IdentityReference key_vault_identity;                          ///< who reads key vaults
    std::string key_vault;  ///< in place of the vault that a reference names; for a private way to it
    /// Who may be shown a token of an identity, which opens every registry that the identity has rights to: hosts, or ends of hosts (".azurecr.io").
    std::vector<std::string> registries{".azurecr.io", ".azurecr.cn", ".azurecr.us"};
    std::string ca_file;         ///< of authority and key vaults; empty: the system's trust store
    bool allow_private = false;  ///< authority and key vaults may be on private addresses, as private endpoints are
    friend bool operator==(const IdentityConfig&, const IdentityConfig&) = default;
};

constexpr std::size_t identity_registries_max = 64;

/// Whether a host may be shown a token of an identity.
bool may_see_identity(const IdentityConfig& config, std::string_view host) noexcept;

struct ServiceConfig {
    VaultConfig vault;
    IdentityConfig identity;
    friend bool operator==(const ServiceConfig&, const ServiceConfig&) = default;
};

}  // namespace entrepot
