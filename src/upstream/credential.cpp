#include "entrepot/upstream/credential.h"

#include "entrepot/base/assert.h"
#include "upstream/credential_state.h"

#include <fmt/format.h>

#include <atomic>

namespace entrepot {
namespace {

std::atomic<std::uint64_t> made{0}, ended{0};

}  // namespace

std::uint64_t credentials_ended() noexcept { return ended.load(std::memory_order_relaxed); }

std::shared_ptr<const Credential> Credential::make(CredentialSpec spec) {
    return std::make_shared<const Credential>(std::move(spec));
}

Credential::Credential(CredentialSpec spec)
    : spec_(std::move(spec)), id_(made.fetch_add(1, std::memory_order_relaxed) + 1),
      state_(std::make_unique<CredentialState>(spec_.identity ? 1 : spec_.logins.size())) {
    ASSERT(spec_.logins.size() <= credential_logins_max && (!spec_.identity || spec_.logins.empty()));
}

Credential::~Credential() { ended.fetch_add(1, std::memory_order_relaxed); }

std::vector<CredentialHealth> Credential::health() const { return state_->logins.health(); }

std::string identity_credential_name(std::string_view identity, std::string_view login_server) {
    return fmt::format("identity {} at {}", identity, login_server);
}

std::string credential_name_of(const RuleText& rule, std::string_view login_server) {
    return rule.identity.empty() ? rule.credential_set : identity_credential_name(rule.identity, login_server);
}

}  // namespace entrepot
