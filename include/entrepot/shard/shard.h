#pragma once
// A core and all it owns. The members, in order, are the ownership of the whole program: each may use those above it. Made, run and destroyed on one thread.

#include "entrepot/admin/admin.h"
#include "entrepot/registry/registry.h"
#include "entrepot/server/acceptor.h"

#include <memory>
#include <string>
#include <vector>

namespace entrepot {

/// What all shards share, from the Box.
struct SharedParts {
    Store& store;
    UpstreamTable& upstreams;
    CacheTeam& team;
    std::shared_ptr<const Routing> routing;
    Entrance& entrance;
    const TlsServerContext* tls = nullptr;  ///< of the registry listener; null: plain
    AccessLogFile* access_log = nullptr;    ///< of the registry listener; null: none
};

/// Where the admin listener is found.
struct AdminPlaces {
    struct UnixPlace {
        std::string path;
        bool optional = false;  ///< where it cannot be made the server does without it, and says so
    };
    std::vector<Address> addresses;
    std::vector<UnixPlace> sockets;
    std::optional<gid_t> socket_group;
};

struct ShardOptions {
    std::vector<Address> listen;
    std::size_t buffers = 32;  ///< of BufferPool::buffer_bytes: 8 MiB, what the default memlock limit lets us register
    Connections::Options connections;
    Cache::Options cache;
};

class Shard {
  public:
    /// On the shard's thread, whose ring it takes over. Listeners are opened, not yet accepted from; the error is one line for the operator.
    static Result<std::unique_ptr<Shard>, std::string> make(std::unique_ptr<Ring> ring, const SharedParts& shared,
                                                            const ShardOptions& options);
    ~Shard();

    /// Before the loops run: the acceptors of the same address on every shard.
    void meet(const std::vector<Shard*>& all);
    /// Opens the admin listeners here, with connections of their own.
    Result<void, std::string> open_admin(const AdminPlaces& places, AdminContext context);

    Loop& loop() noexcept { return loop_; }
    Cache& cache() noexcept { return cache_; }
    Registry& registry() noexcept { return registry_; }
    MetricSources::ShardSources metric_sources() const noexcept;
    const Address& address(std::size_t listener) const noexcept { return acceptors_[listener]->address(); }
    /// The first; a Unix socket's has no family.
    const Address& admin_address() const noexcept { return admin_->acceptors.front()->address(); }
    std::string admin_text() const;  ///< all of them, for the log

    /// Starts accepting and housekeeping; returns at once. Admin pages come up with start_admin, earlier, so that health can be asked.
    void start();
    void start_admin();
    void set_ready(bool ready) noexcept;

    // The end, in phases that every shard finishes before any begins the next (shard/box.cpp).
    void begin_drain() noexcept;                 ///< no new connections; idle ones end
    Task<void> until_drained(Instant deadline);  ///< answers run to their end, at most until the deadline
    void interrupt() noexcept;   ///< what still runs ends by force: clients and upstreams, so that nobody waits for the other
    Task<void> stop_fetching();  ///< connections and fetches have ended, partial files are kept
    Task<void> close();          ///< everything else

  private:
    struct AdminParts {
        explicit AdminParts(AdminContext context) : admin(std::move(context)), connections(admin, nullptr, admin_connections()) {}
        static Connections::Options admin_connections();
        Admin admin;
        Connections connections;
        std::vector<std::unique_ptr<Acceptor>> acceptors;
    };

    Shard(std::unique_ptr<Ring> ring, const SharedParts& shared, const ShardOptions& options);

    CacheCounters cache_counters_;
    RegistryCounters registry_counters_;
    Loop loop_;
    BufferPool buffers_;
    DigestLine digests_;
    RecordsUnderWay records_;
    std::unique_ptr<Upstreams> upstreams_;
    FetchTools tools_;
    Cache cache_;
    Registry registry_;
    std::optional<AccessLog> access_log_;
    Connections connections_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unique_ptr<AdminParts> admin_;
    bool accepting_ = false, admin_accepting_ = false;
    TaskGroup services_;
};

}  // namespace entrepot
