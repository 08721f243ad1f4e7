#pragma once
// The connections of one shard, by origin: idle ones to use again, and a bound on how many an upstream gets at a time. Opens what is missing: name, address, TCP, TLS.

#include "entrepot/net/connect.h"
#include "entrepot/net/resolver.h"
#include "upstream/connection.h"
#include "upstream/table.h"

#include <map>

namespace entrepot {

class ConnectionPool {
  public:
    explicit ConnectionPool(UpstreamTableOfProcess& table) : table_(table) {}

    struct Lease {
        std::unique_ptr<UpstreamConnection> connection;
        bool reused = false;
    };
    /// A connection to the origin under the upstream's policy. `fresh`: not an idle one. The caller holds a slot of the upstream.
    Task<Result<Lease, UpstreamFailure>> open(const UpstreamState& upstream, const Origin& origin, bool fresh, Instant deadline);
    /// Takes a connection back: kept when it may be used again, closed otherwise.
    Task<void> give_back(std::unique_ptr<UpstreamConnection> connection);

    /// The bound on exchanges with one upstream at a time.
    Semaphore& slots(std::size_t upstream);

    void interrupt() noexcept;
    Task<void> close();

  private:
    struct Idle {
        IntrusiveList<UpstreamConnection> connections;  // oldest first; owned by this list
        std::size_t count = 0;
    };

    std::unique_ptr<UpstreamConnection> take_idle(const Origin& origin);
    Task<void> close_expired();
    Task<Result<std::unique_ptr<Stream>, UpstreamFailure>> connect(const UpstreamState& upstream, const Origin& origin, Instant deadline);

    UpstreamTableOfProcess& table_;
    Resolver resolver_;
    std::map<std::string, Idle> idle_;  // by Origin::text()
    IntrusiveList<UpstreamConnection> in_use_;
    std::unordered_map<std::size_t, std::unique_ptr<Semaphore>> slots_;
    bool interrupted_ = false;
};

}  // namespace entrepot
