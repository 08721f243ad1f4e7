#pragma once
// The inside of UpstreamTable: what every shard may read, and the few atomics that tell all shards how an upstream is doing.

#include "entrepot/http/response_head.h"
#include "entrepot/http/url.h"
#include "entrepot/upstream/upstream.h"
#include "upstream/credential_state.h"
#include "upstream/failure.h"
#include "upstream/health.h"
#include "upstream/own_addresses.h"
#include "upstream/trust.h"

#include <map>
#include <mutex>
#include <unordered_map>

namespace entrepot {

class UpstreamsOfShard;

/// One upstream: its specification as origins, and its state.
struct UpstreamState {
    /// The specification as the table hands it out: whoever has it gets to the state without looking for it.
    struct KnownSpec final : UpstreamSpec {
        explicit KnownSpec(UpstreamState& state_of_it) noexcept : state(state_of_it) {}
        UpstreamState& state;
    };

    UpstreamState() noexcept : spec(*this) {}

    KnownSpec spec;
    std::vector<Origin> endpoints;
    std::vector<Origin> realms;    ///< besides the endpoints
    const Trust* trust = nullptr;  ///< shared by all upstreams with the same CA file
    Circuit circuit;
    RetryBudget budget;
    UpstreamTable::Counters counters;

    bool owns(const Origin& origin) const noexcept;  ///< an endpoint: may see requests with credentials
    bool may_issue_tokens(const Origin& origin) const noexcept;

    /// The indexes of the endpoints, those that failed of late behind the others.
    std::vector<std::size_t> endpoint_order(Instant time) const;
    void avoid_endpoint(std::size_t endpoint, Instant time) noexcept;

    /// What those with these rights may ask for; null: anonymous.
    RateLimit& limit_of(const Credential* credential) noexcept { return credential ? credential->state().limit : anonymous; }

    /// What any response tells: its status.
    void note(UpstreamKind kind, int status) noexcept;
    /// What a response of an endpoint tells: how much is left of the rate limit of these rights.
    void note_rate_limit(UpstreamKind kind, RateLimit& limit, const ResponseHead& head, Instant time) noexcept;
    void note_no_answer(UpstreamKind kind) noexcept;

    RateLimit anonymous;
    std::unique_ptr<std::atomic<std::int64_t>[]> avoided_until_ns;  ///< by endpoint
};

class UpstreamTableOfProcess final : public UpstreamTable {
  public:
    static Result<std::unique_ptr<UpstreamTable>, std::string> make(std::vector<UpstreamSpec> upstreams, Options options);

    void set_home(Loop& home) noexcept override;
    Result<void, std::string> load_trust(const std::string& ca_file) override;
    void renew_trust() override;
    Result<const UpstreamSpec*, std::string> add(UpstreamSpec upstream) override;
    Result<void, std::string> check(std::vector<UpstreamSpec> upstreams) override;
    const UpstreamSpec* find(std::string_view login_server) const noexcept override;
    std::size_t count() const noexcept override { return states_.size(); }
    const UpstreamSpec& at(std::size_t index) const noexcept override { return states_[index]->spec; }
    const Counters& counters(std::size_t index) const noexcept override { return states_[index]->counters; }

    const Options& options() const noexcept { return options_; }
    /// `spec` is one that find() returned.
    static UpstreamState& state_of(const UpstreamSpec& spec) noexcept {
        return static_cast<const UpstreamState::KnownSpec&>(spec).state;
    }
    bool is_ourselves(const Address& address) const noexcept { return own_addresses_.contains(address); }
    /// Readies the calling thread for handshakes, so that none of them parses trust stores.
    void prepare_tls() const;

    /// Each shard's Upstreams makes itself known at construction; the home's runs the token requests of the whole process.
    void add_member(Loop& loop, UpstreamsOfShard& member);
    void remove_member(UpstreamsOfShard& member) noexcept;
    UpstreamsOfShard& home() const noexcept { return *home_member_; }
    Loop& home_loop() const noexcept { return *home_; }

    std::string no_room_for(const UpstreamSpec& upstream) const;
    /// An upstream that is not in the table. Home loop.
    Result<std::unique_ptr<UpstreamState>, std::string> make_state(UpstreamSpec spec);

  private:
    Result<const Trust*, std::string> trust_of(const std::string& ca_file);

    Options options_;
    mutable std::mutex trust_lock_;                        // of the map; never on a request's path
    std::map<std::string, std::unique_ptr<Trust>> trust_;  // by CA file
    std::vector<std::unique_ptr<UpstreamState>> states_;
    std::unordered_map<std::string_view, UpstreamState*> by_login_server_;
    OwnAddresses own_addresses_;
    std::mutex members_lock_;  // start and end only
    std::vector<std::pair<Loop*, UpstreamsOfShard*>> members_;
    Loop* home_ = nullptr;
    UpstreamsOfShard* home_member_ = nullptr;
};

}  // namespace entrepot
