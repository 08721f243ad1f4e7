#pragma once
// An authorization that is kept for the next request, and whose it is: with its credential it has to go.

#include "upstream/authorization.h"
#include "upstream/credential_state.h"
#include "upstream/hidden_text.h"

#include <optional>
#include <unordered_map>

namespace entrepot {

struct KeptAuthorization {
    HiddenText header;
    std::size_t login = 0;
    Instant made{}, until{};
    bool anonymous = true;
    std::weak_ptr<const Credential> owner;

    KeptAuthorization() = default;
    KeptAuthorization(const Authorization& kept, const CredentialPointer& credential)
        : header(kept.header), login(kept.login), made(kept.made), until(kept.until), anonymous(!credential), owner(credential) {}
    /// For one request.
    Authorization shown() const {
        Authorization authorization;
        authorization.header = header.view();
        authorization.login = login;
        authorization.made = made;
        authorization.until = until;
        return authorization;
    }
    bool orphaned() const noexcept { return !anonymous && owner.expired(); }
};

/// Authorizations by some key that tells credentials apart by their ids. Bounded, and without those whose credential has ended.
template <typename Key>
class KeptAuthorizations {
  public:
    explicit KeptAuthorizations(std::size_t count_max) noexcept : count_max_(count_max) {}

    /// Nothing when there is none, or when its time is over.
    std::optional<Authorization> find(const Key& key, Instant time) {
        forget_orphans();
        auto found = kept_.find(key);
        if (found == kept_.end()) return std::nullopt;
        if (found->second.until > time) return found->second.shown();
        kept_.erase(found);
        return std::nullopt;
    }
    /// At the bound all are forgotten: each costs one question to be had again.
    void keep(const Key& key, const Authorization& authorization, const CredentialPointer& credential) {
        if (kept_.size() >= count_max_ && !kept_.contains(key)) kept_.clear();
        kept_[key] = KeptAuthorization(authorization, credential);
    }
    void forget(const Key& key) { kept_.erase(key); }
    std::size_t size() const noexcept { return kept_.size(); }

  private:
    /// Once for all credentials that ended since the last look.
    void forget_orphans() {
        auto ended = credentials_ended();
        if (std::exchange(ended_seen_, ended) == ended) return;
        std::erase_if(kept_, [](auto& each) { return each.second.orphaned(); });
    }

    std::size_t count_max_;
    std::uint64_t ended_seen_ = credentials_ended();
    std::unordered_map<Key, KeptAuthorization> kept_;
};

}  // namespace entrepot
