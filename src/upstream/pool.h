#pragma once
// The connections of one shard: idle ones to use again, and those in use, so that a shutdown can end them. Opens what is
// missing: name, address, TCP, TLS.

#include "entrepot/io/fair_slots.h"
#include "entrepot/net/connect.h"
#include "entrepot/net/resolver.h"
#include "upstream/connection.h"
#include "upstream/table.h"

namespace entrepot {

class ConnectionPool {
  public:
    static constexpr std::size_t idle_total_max = 256;  ///< of all origins; beyond, the one that was idle longest is closed

    explicit ConnectionPool(UpstreamTableOfProcess& table) : table_(table), reaper_(*this) {}
    ~ConnectionPool() { ASSERT(idle_.empty() && !reaper_.armed()); }

    struct Lease {
        std::unique_ptr<UpstreamConnection> connection;
        bool reused = false;
    };
    /// A connection to the origin under the upstream's policy. `fresh`: not an idle one. Give it back in any case.
    Task<Result<Lease, UpstreamFailure>> open(const UpstreamState& upstream, const Origin& origin, bool fresh, Instant deadline);
    /// Takes a connection back: kept when it may be used again, closed otherwise.
    Task<void> give_back(std::unique_ptr<UpstreamConnection> connection);

    /// The bound on exchanges with one upstream at a time.
    FairSlots& slots(UpstreamState& upstream);
    const UpstreamTable::Options& options() const noexcept { return table_.options(); }
    std::size_t idle_count() const noexcept { return idle_count_; }

    /// Ends what is on its way soon: connections in use and those that wait for a slot at once, one that is being opened by its
    /// own deadline at the latest.
    void interrupt() noexcept;
    bool interrupted() const noexcept { return interrupted_; }
    /// Waits until every connection was given back, then ends the idle ones.
    Task<void> close();

  private:
    /// Fires when the connection that is idle longest has had its time.
    struct Reaper : Timer {
        explicit Reaper(ConnectionPool& owner) noexcept : Timer(&Reaper::on_due), pool(owner) {}
        static void on_due(Timer& timer) { static_cast<Reaper&>(timer).pool.reap(); }
        ConnectionPool& pool;
    };
    /// A stream in its TLS handshake, which only interrupt() may touch meanwhile.
    struct Handshake : ListLink {
        Stream* stream = nullptr;
    };

    Task<std::unique_ptr<UpstreamConnection>> take_idle(const UpstreamSpec& upstream, const Origin& origin,
                                                        const Trust::Context& trust);
    std::unique_ptr<UpstreamConnection> find_idle(const UpstreamSpec& upstream, const Origin& origin,
                                                  const Trust::Context& trust);
    std::size_t idle_beside(const UpstreamConnection& connection) noexcept;
    Task<Result<std::unique_ptr<Stream>, UpstreamFailure>> connect(const UpstreamState& upstream, const Origin& origin,
                                                                   const Trust::Context& trust, Instant deadline);
    Task<Result<std::unique_ptr<Stream>, UpstreamFailure>> secure(std::unique_ptr<Stream> plain, const TlsClientContext& trust,
                                                                  const Origin& origin, Instant deadline);
    Task<void> close_idle(std::unique_ptr<UpstreamConnection> connection);
    void keep(std::unique_ptr<UpstreamConnection> connection);
    std::unique_ptr<UpstreamConnection> pop_oldest();
    void reap();
    void arm_reaper() noexcept;
    void one_ended() noexcept;

    UpstreamTableOfProcess& table_;
    Resolver resolver_;
    IntrusiveList<UpstreamConnection> idle_;  // oldest first; owned by this list
    std::size_t idle_count_ = 0;
    IntrusiveList<UpstreamConnection> in_use_;
    IntrusiveList<Handshake> handshakes_;
    std::size_t leased_ = 0;  // opened or being opened, not given back yet
    Condition all_back_;
    Reaper reaper_;
    TaskGroup closing_;
    std::unordered_map<const UpstreamState*, std::unique_ptr<FairSlots>> slots_;
    bool interrupted_ = false;
};

}  // namespace entrepot
