#pragma once
// The operator's side of a running box: changes are checked, made durable, and become one new snapshot that every shard is given, before the answer to
// them is sent. A request keeps the snapshot with which it began, so that no change fails a running pull.
//
// On the home loop (shard 0). Changes that wait together share a turn: one commit of the ledger, one snapshot. What takes longer than a shard may be away (building
// the snapshot, staging a large batch) is done on a lane, on a copy of the state.

#include "entrepot/control/operator_state.h"
#include "entrepot/io/await.h"
#include "entrepot/registry/routing.h"

#include <functional>
#include <memory>

namespace entrepot {

class Control {
  public:
    static constexpr std::size_t waiting_max = 1024;     ///< changes; beyond: Refusal::Kind::busy
    static constexpr std::size_t large_batch_from = 64;  ///< changes in a batch that is staged on a lane, in a turn of its own

    using Publish = std::function<Task<void>(std::shared_ptr<const Routing>)>;

    /// A snapshot, and the identities that its rules name.
    struct Built {
        std::shared_ptr<const Routing> routing;
        Credentials identities;
    };

    /// Blocking, before the shards run: takes what the ledger kept. What the file forbids by now is logged and waits aside; the error is one line for the operator.
    static Result<std::unique_ptr<Control>, std::string> open(const Config& config, Ledger& ledger, UpstreamTable& upstreams);

    /// Gives every shard a snapshot. Once, before the first change.
    void set_publish(Publish publish) { publish_ = std::move(publish); }

    /// True when it returns: durable, and seen by every request that begins from now on.
    Task<Result<Outcome, Refusal>> change(Batch batch);

    /// The file was read again: its rules and credential sets take the place of those it had, its upstreams join those that are there. What was made at run time and the file
    /// now forbids is logged and waits aside. On an error nothing has changed.
    Task<Result<void, std::string>> reload(Config config);

    /// Until the next co_await.
    const OperatorState& state() const noexcept { return *state_; }
    std::shared_ptr<const Routing> routing() const noexcept { return routing_; }
    /// The object that stands for a credential set's rights; null when there is none of that name.
    CredentialPointer find_credential(std::string_view set) const;
    /// How a login server is reached, whether or not a rule has named it so far.
    Result<const UpstreamSpec*, std::string> upstream_of(std::string_view login_server);
    /// The same without making it known: null when neither a rule nor the file has named it.
    const UpstreamSpec* find_upstream(std::string_view login_server) const noexcept;

  private:
    struct Waiting {
        Batch batch;
        std::optional<Result<Outcome, Refusal>> outcome;
        OperatorState::Staged staged;
    };
    using Turn = std::vector<Waiting*>;

    Control(const Config& config, Ledger& ledger, UpstreamTable& upstreams);
    static bool is_large(const Waiting* one) noexcept;
    Turn next_turn();
    Task<void> run(Turn turn);
    Task<std::unique_ptr<OperatorState>> stage_away(Waiting& large, std::int64_t wall);
    void stage_here(Turn& turn, std::int64_t wall);
    Result<void, std::string> know_upstreams(const OperatorState::Staged& staged, bool dry_run);
    void refresh_credentials();
    Task<Result<Built, std::string>> build(const OperatorState& state);
    Task<Result<void>> keep(Turn& turn);
    Task<Result<void, std::string>> reload_now(Config config);
    Task<void> replace_routing(Built built);
    template <typename Pointer>
    static Task<void> dispose(Pointer pointer);

    Config config_;  ///< its options and upstreams
    Ledger& ledger_;
    UpstreamTable& upstreams_;
    std::unique_ptr<OperatorState> state_;
    Credentials credentials_;
    Credentials identities_;  // of the present snapshot
    std::shared_ptr<const Routing> routing_;
    Publish publish_;
    std::vector<Waiting*> waiting_;  // in the order in which they came
    Semaphore turn_{1, waiting_max};
};

/// How an upstream of the configuration is reached.
UpstreamSpec spec_of(const UpstreamConfig& config);

}  // namespace entrepot
