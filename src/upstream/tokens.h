#pragma once
// Bearer tokens: asked for once per upstream, credential and scope for the whole process, kept until shortly before they end. On the home loop.
//
//   anonymous   GET the realm
//   logins      GET the realm with Basic: the primary, then the secondary
//   identity    a token of the directory -> the registry's /oauth2/exchange -> its realm (Azure Container Registry)

#include "entrepot/http/token.h"

#include "upstream/flights.h"
#include "upstream/identities.h"
#include "upstream/passwords.h"

namespace entrepot {

/// One token request.
struct TokenOrder {
    const UpstreamSpec* upstream = nullptr;
    CredentialPointer credential;  ///< null: anonymous
    Url url;                       ///< the realm with service and scope
    /// Two orders with the same key get the same token.
    std::string key() const;
};

class Tokens {
  public:
    static constexpr std::size_t tokens_max = 16384;  ///< kept; all are forgotten beyond

    /// What Tokens needs of the shard that it lives on.
    class Door {
      public:
        virtual ~Door() = default;
        /// The answer of a registry's realm; a status other than 200 is the failure that it means.
        virtual Task<DocumentAnswer> ask_realm(const TokenOrder& order, DocumentRequest request) = 0;
        virtual const UpstreamTable::Options& options() const noexcept = 0;
    };
    Tokens(Door& door, Passwords& passwords, Identities& identities) noexcept
        : door_(door), passwords_(passwords), identities_(identities) {}

    /// From memory, from a running request, or from the realm. `refused`: a header that upstream no longer takes.
    Task<AuthorizationAnswer> get(TokenOrder order, std::string refused);
    /// Past all memory but that of secrets, by one login (of an identity there is one): how it is met now.
    Task<AuthorizationAnswer> ask_as(TokenOrder order, std::size_t login);

  private:
    Task<AuthorizationAnswer> ask(const TokenOrder& order);
    Task<AuthorizationAnswer> ask_with_logins(const TokenOrder& order);
    Task<AuthorizationAnswer> ask_with_login(const TokenOrder& order, std::size_t login);
    Task<AuthorizationAnswer> ask_as_identity(const TokenOrder& order);
    Task<AuthorizationAnswer> ask_realm(const TokenOrder& order, const Authorization& login);
    Task<AuthorizationAnswer> refresh_token(const TokenOrder& order, std::string refused);

    Door& door_;
    Passwords& passwords_;
    Identities& identities_;
    KeptAuthorizations<std::string> known_{tokens_max};
    KeptAuthorizations<std::string> refresh_tokens_{tokens_max};  // of registries, for identities
    Flights<AuthorizationAnswer> flights_;
};

}  // namespace entrepot
