#pragma once
// A client's connection: read a head, hand it to the handler, again until somebody has had enough. Its state is where its coroutine stands.

#include "entrepot/io/await.h"
#include "entrepot/net/tls.h"
#include "entrepot/server/access_log.h"
#include "entrepot/server/exchange.h"

namespace entrepot {

/// The connections of one shard and listener: counted, bounded, and told to end at shutdown.
class Connections {
  public:
    struct Options {
        std::size_t connections_max = 16384;
        Duration head_timeout = std::chrono::seconds(10);   ///< from the first byte of a head to its last
        Duration idle_timeout = std::chrono::seconds(120);  ///< between requests
        Duration handshake_timeout = std::chrono::seconds(10);
        // Of a body that a handler reads: all of it, and how little of it may come in a while. A body smaller than that has this while for the whole of it.
        Duration body_timeout = std::chrono::seconds(60);
        Duration body_pace_time = std::chrono::seconds(10);
        std::size_t body_pace_bytes_min = 16 * 1024;
    };

    /// `log` gets a record of each request that ends; null: nobody wants one.
    Connections(RequestHandler& handler, const TlsServerContext* tls, const Options& options, AccessLog* log = nullptr) noexcept
        : handler_(handler), tls_(tls), log_(log), options_(options), slots_(options.connections_max, slot_waiters_max) {}

    /// Serves a connected descriptor on its own until it ends. The caller took a slot and counted it in.
    void start(int socket);
    /// Counts a connection that is here, or on its way here from another shard: were it counted at its arrival, a burst would all be given to one shard.
    /// Any thread. start() counts it out when it ends; who does not come to start() counts it out himself.
    void count_in() noexcept { open_.fetch_add(1, std::memory_order_relaxed); }
    void count_out() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }
    /// A place for one more connection, when the bound is not reached; else waits until one ends.
    Task<bool> slot(Instant deadline) { return slots_.acquire(deadline); }

    void give_back_slot() noexcept { slots_.release(); }

    std::size_t open() const noexcept { return open_.load(std::memory_order_relaxed); }
    /// From now on every connection ends after the response it is giving; idle ones end at once.
    void drain() noexcept;
    /// Ends what is still going on, by force.
    void interrupt() noexcept;
    Task<void> close() { co_await tasks_.close(); }
    bool draining() const noexcept { return draining_; }

  private:
    static constexpr std::size_t slot_waiters_max = 1024;  // our acceptor, and hand-overs from other shards

    friend class ServedConnection;
    Task<void> serve(int socket);
    Task<std::unique_ptr<Stream>> open_stream(int socket);

    RequestHandler& handler_;
    const TlsServerContext* tls_;
    AccessLog* log_;
    Options options_;
    Semaphore slots_;
    IntrusiveList<class ServedConnection> live_;
    TaskGroup tasks_;
    std::atomic<std::size_t> open_{0};
    bool draining_ = false;
};

}  // namespace entrepot
