#pragma once
// The places where identities and vaults are asked, as upstreams of their own that no rule names: each with the policy that belongs to it. On the home loop; a place
// stays once it is known.

#include "upstream/documents.h"

namespace entrepot {

class Services {
  public:
    static constexpr std::size_t places_max = 1024;  ///< key vaults mostly; further ones are refused

    Services(UpstreamTableOfProcess& table, Documents& documents) noexcept : table_(table), documents_(documents) {}

    /// How a place is reached. What the operator wrote down may be private; the host of a key vault's reference may not.
    struct Policy {
        std::string ca_file;
        bool allow_private = false;
        std::string_view table{};  ///< of the configuration file, where both are said; it outlives the policy
    };
    Task<DocumentAnswer> ask(Policy policy, DocumentRequest request);

    const ServiceConfig& config() const noexcept { return table_.options().services; }
    Duration secret_life() const noexcept { return table_.options().secret_life; }
    Policy authority() const;
    Policy key_vault() const;
    Policy vault() const { return {config().vault.ca_file, true, "[vault]"}; }
    /// The two places on this very machine.
    static Policy machine() { return {"", true}; }

  private:
    Task<Result<const UpstreamState*, std::string>> place(const Policy& policy, const Origin& origin);

    UpstreamTableOfProcess& table_;
    Documents& documents_;
    std::map<std::string, std::unique_ptr<UpstreamState>> places_;  // by origin, trust and policy
};

/// A failure of a service as one of the credential: what it says is not the registry's answer, and must not be taken for it.
UpstreamFailure as_unavailable(const UpstreamFailure& failure, std::string_view what);

}  // namespace entrepot
