#include "entrepot/upstream/credential.h"

#include "upstream/credential_state.h"

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
    : spec_(std::move(spec)), id_(made.fetch_add(1, std::memory_order_relaxed) + 1), state_(std::make_unique<CredentialState>()) {
}

Credential::~Credential() { ended.fetch_add(1, std::memory_order_relaxed); }

}  // namespace entrepot
