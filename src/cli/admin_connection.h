#pragma once
// One blocking connection to an admin listener, in plain, with one deadline for everything that happens on it.
// The command line has a loop of its own neither for rings nor for shards: it asks, waits and ends.

#include "cli/admin_address.h"

#include "entrepot/base/bytes.h"
#include "entrepot/base/clock.h"

#include <string_view>

namespace entrepot::cli {

class AdminConnection {
  public:
    /// Tries each address that a host name has. The error is errno; a name without an address is EHOSTUNREACH.
    static Result<AdminConnection, int> connect(const AdminAddress& address, Instant deadline);
    AdminConnection(AdminConnection&& other) noexcept;
    AdminConnection& operator=(AdminConnection&&) = delete;
    ~AdminConnection();

    /// All of it, or errno (ETIMEDOUT at the deadline).
    Result<void, int> send(std::string_view bytes);
    /// Some bytes; none when the peer has ended the connection.
    Result<std::size_t, int> receive(MutableBytes into);

    /// Whom we reached, as a Host field needs it: an address, since the server refuses names (DNS rebinding). "localhost" for a Unix
    /// socket.
    const std::string& host() const noexcept { return host_; }
    /// Whether the peer is on this machine.
    bool is_local() const noexcept { return local_; }

  private:
    AdminConnection(int descriptor, Instant deadline) : descriptor_(descriptor), deadline_(deadline) {}
    static Result<AdminConnection, int> connect_unix(const AdminAddress& address, Instant deadline);
    static Result<AdminConnection, int> connect_tcp(const AdminAddress& address, Instant deadline);
    Result<void, int> wait_for(short events);
    Result<void, int> reach(const void* address, unsigned bytes);

    int descriptor_;
    Instant deadline_;
    std::string host_;
    bool local_ = true;
};

}  // namespace entrepot::cli
