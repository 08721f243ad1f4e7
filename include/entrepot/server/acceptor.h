#pragma once
// Takes connections from one listener of one shard and gives each to the shard that has the fewest: the kernel spreads by hash, and a few fat connections could all land on one.

#include "entrepot/net/listener.h"
#include "entrepot/server/connection.h"

#include <vector>

namespace entrepot {

/// One per shard and listening address; the peers are those of the same address on the other shards.
class Acceptor {
  public:
    Acceptor(Loop& loop, std::unique_ptr<Listener> listener, Connections& connections) noexcept
        : loop_(loop), listener_(std::move(listener)), connections_(connections) {}

    /// Before the loops run.
    void set_peers(std::vector<Acceptor*> peers) { peers_ = std::move(peers); }
    /// Accepts until stop().
    Task<void> run();
    void stop() noexcept;
    const Address& address() const noexcept { return listener_->address(); }
    std::string text() const { return listener_->text(); }

  private:
    Acceptor& idlest() noexcept;
    Task<void> hand_over(Acceptor& other, int socket);
    Task<bool> take(int socket);

    Loop& loop_;
    std::unique_ptr<Listener> listener_;
    Connections& connections_;
    std::vector<Acceptor*> peers_;
    TaskGroup handing_over_;
    bool stopping_ = false;
};

}  // namespace entrepot
