#pragma once
// The inside of UpstreamTable: what every shard may read, and the few atomics that tell all shards how an upstream is doing.

#include "entrepot/http/url.h"
#include "entrepot/net/tls.h"
#include "entrepot/upstream/upstream.h"

#include <mutex>
#include <unordered_map>

namespace entrepot {

class UpstreamsOfShard;

/// Whether an upstream may be asked now. Shared by all shards through atomics; wrong by a request or two at the edges, which is harmless.
class Circuit {
  public:
    static constexpr int failures_to_open = 5;
    static constexpr Duration probe_interval = std::chrono::seconds(1);

    /// False while the circuit is open, except for one probe each second.
    bool may_ask(Instant time) noexcept;
    void succeeded() noexcept { failures_.store(0, std::memory_order_relaxed); }
    void failed(Instant time) noexcept;

  private:
    std::atomic<int> failures_{0};
    std::atomic<std::int64_t> next_probe_ns_{0};
};

/// One upstream, or rather one way of asking it: the credential's own state is kept per credential (index 0: anonymous).
struct UpstreamState {
    struct CredentialState {
        std::atomic<std::int64_t> pause_until_ns{0};  ///< a 429 told everybody with these rights to wait
        std::atomic<bool> wants_basic{false};         ///< it asked for Basic before
    };

    UpstreamSpec spec;
    std::vector<Origin> endpoints;
    std::vector<Origin> realms;  ///< besides the endpoints
    std::unique_ptr<TlsClientContext> tls;
    std::unique_ptr<CredentialState[]> credentials;
    Circuit circuit;
    UpstreamTable::Counters counters;

    bool owns(const Origin& origin) const noexcept;         ///< an endpoint: may see requests with credentials
    bool may_issue_tokens(const Origin& origin) const noexcept;
};

class UpstreamTableOfProcess final : public UpstreamTable {
  public:
    static Result<std::unique_ptr<UpstreamTable>, std::string> make(std::vector<UpstreamSpec> upstreams, std::vector<CredentialSpec> credentials, Options options);

    void set_home(Loop& home) noexcept override;
    const UpstreamSpec* find(std::string_view login_server) const noexcept override;
    const CredentialSpec* find_credential(std::string_view name) const noexcept override;
    std::size_t count() const noexcept override { return states_.size(); }
    const UpstreamSpec& at(std::size_t index) const noexcept override { return states_[index]->spec; }
    const Counters& counters(std::size_t index) const noexcept override { return states_[index]->counters; }

    const Options& options() const noexcept { return options_; }
    /// `spec` is one that find() returned.
    UpstreamState& state_of(const UpstreamSpec& spec) const noexcept { return *states_[index_of(spec)]; }
    std::size_t index_of(const UpstreamSpec& spec) const noexcept;
    std::size_t index_of(const CredentialSpec* credential) const noexcept;  ///< 0: anonymous
    bool is_ourselves(const Address& address) const noexcept;

    /// Each shard's Upstreams makes itself known at construction; the home's runs the token requests of the whole process.
    void add_member(Loop& loop, UpstreamsOfShard& member);
    void remove_member(UpstreamsOfShard& member) noexcept;
    UpstreamsOfShard& home() const noexcept { return *home_member_; }
    Loop& home_loop() const noexcept { return *home_; }

  private:
    Options options_;
    std::vector<std::unique_ptr<UpstreamState>> states_;
    std::unordered_map<std::string_view, std::size_t> by_login_server_;
    std::vector<CredentialSpec> credentials_;
    std::vector<Address> own_addresses_;
    std::mutex members_lock_;  // start and end only
    std::vector<std::pair<Loop*, UpstreamsOfShard*>> members_;
    Loop* home_ = nullptr;
    UpstreamsOfShard* home_member_ = nullptr;
};

UpstreamFailure make_failure(Fault fault, Code code, std::string why, int status = 0);

}  // namespace entrepot
