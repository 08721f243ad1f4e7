#pragma once
// Passwords that were right a moment ago, so that a pull of forty layers does not hash forty times. What is kept is a keyed hash over the account's stored hash and the
// password; the key is this object's own and dies with it. A changed password changes the stored hash and is thereby forgotten. Owned by one loop.

#include "entrepot/access/pull_token.h"
#include "entrepot/base/clock.h"

#include <deque>
#include <string_view>
#include <unordered_map>

namespace entrepot {

class VerifiedLogins {
  public:
    struct Options {
        Duration life = seconds(60);     ///< from the moment at which the password was checked
        std::size_t entries_max = 1024;  ///< at the bound the oldest goes
    };
    using Proof = std::array<std::byte, 32>;

    explicit VerifiedLogins(const Options& options);
    ~VerifiedLogins();

    /// Equal for equal arguments, and only then. Takes the same time for hashes and passwords of one length.
    Proof proof_of(std::string_view hash, std::string_view password) const noexcept;
    bool knows(const Proof& proof, Instant now) const noexcept;
    void remember(const Proof& proof, Instant now);
    std::size_t entries() const noexcept { return until_.size(); }

    struct ProofHash {
        std::size_t operator()(const Proof& proof) const noexcept;
    };

  private:
    Options options_;
    TokenKey key_;
    std::unordered_map<Proof, Instant, ProofHash> until_;
    std::deque<Proof> in_order_;
};

}  // namespace entrepot
