#pragma once
// A listening socket of one shard (SO_REUSEPORT: each shard has its own on the same address) with multishot accept. A Unix socket is one shard's alone.

#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/net/address.h"

#include <memory>
#include <optional>
#include <string>

namespace entrepot {

enum class Accepting : std::uint8_t {
    at_once,
    /// When its first bytes are here (TCP_DEFER_ACCEPT), or after about a second of silence. Who connects to an HTTP or TLS server speaks first; such a connection costs one turn
    /// of the loop in place of two (a new connection for each request: 0.865 of nginx's CPU in place of 0.925, 20 repetitions).
    with_first_bytes,
};

class Listener {
  public:
    /// The error is one line for the operator: "cannot listen on 127.0.0.1:5000: address already in use (is another server running?)".
    /// Port 0 binds a free port: see address().
    static Result<std::unique_ptr<Listener>, std::string> open(const Address& address, Accepting accepting = Accepting::at_once);
    /// A Unix socket of mode 0660, with this group or the process's own. Makes the path's last directory when it is missing, replaces the socket of a server that has ended, and
    /// refuses where one still listens. May block for as long as a local directory does: only at the start.
    static Result<std::unique_ptr<Listener>, std::string> open_unix(const std::string& path, std::optional<gid_t> group);
    virtual ~Listener() = default;

    /// The next accepted connection: a non-blocking descriptor with TCP_NODELAY that now belongs to the caller, or -ECANCELED after stop(). Out of descriptors (EMFILE) is waited out, never an error.
    virtual Task<int> accept() = 0;
    /// No further connections; accept() ends. Must be called, accept() awaited and close() too, before destruction, except of a listener that was never asked for a connection
    /// (a start that failed elsewhere): the destructor closes that.
    virtual void stop() noexcept = 0;
    /// Ends the kernel side after stop(): waits for the multishot accept to complete and closes.
    virtual Task<void> close() = 0;
    /// Without a family for a Unix socket.
    virtual const Address& address() const noexcept = 0;
    /// "127.0.0.1:5000", "unix:/run/entrepot/admin.sock".
    virtual std::string text() const = 0;
};

}  // namespace entrepot
