#pragma once
// The right to pull from one login server: who we are there, never the secret itself. Immutable and shared: whoever works with it holds it, so that a
// request that is on its way ends with the rights with which it began, whatever the operator does meanwhile. A changed credential set is another object.
// What is learned about it while it is used (a 429's pause, which login works, tokens) belongs to the object and goes with it.

#include "entrepot/rules/credential_set.h"
#include "entrepot/rules/identity_reference.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace entrepot {

constexpr std::size_t credential_logins_max = 2;

/// Either logins or an identity.
struct CredentialSpec {
    std::string name;          ///< as rules and messages call it
    std::string login_server;  ///< the only one that may see it
    std::string scope;         ///< under which the ledger keeps what it was granted; must change when the rights may be another's
    std::vector<CredentialPair> logins;  ///< the primary, and perhaps a secondary
    std::optional<IdentityReference> identity{};
};

struct CredentialState;

class Credential {
  public:
    static std::shared_ptr<const Credential> make(CredentialSpec spec);
    explicit Credential(CredentialSpec spec);
    ~Credential();
    Credential(const Credential&) = delete;
    Credential& operator=(const Credential&) = delete;

    const CredentialSpec& spec() const noexcept { return spec_; }
    const std::string& name() const noexcept { return spec_.name; }
    const std::string& login_server() const noexcept { return spec_.login_server; }
    const std::string& scope() const noexcept { return spec_.scope; }
    /// No other credential of this process has or had it; 0 is nobody's.
    std::uint64_t id() const noexcept { return id_; }
    /// One for each login; an identity has one. Any thread.
    std::vector<CredentialHealth> health() const;
    /// Upstream's own affair. Any thread.
    CredentialState& state() const noexcept { return *state_; }

  private:
    CredentialSpec spec_;
    std::uint64_t id_;
    std::unique_ptr<CredentialState> state_;
};

/// Null: anonymous.
using CredentialPointer = std::shared_ptr<const Credential>;

/// By the name that rules say, identities by identity_credential_name().
using Credentials = std::map<std::string, CredentialPointer, std::less<>>;

/// The name of an identity at one login server; no credential set has such a name. It does for the scope too: the same identity has the same rights.
std::string identity_credential_name(std::string_view identity, std::string_view login_server);
/// Of a rule's credential set or identity, for Credentials; empty: anonymous.
std::string credential_name_of(const RuleText& rule, std::string_view login_server);

}  // namespace entrepot
