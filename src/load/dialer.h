#pragma once
// Opens connections for one worker: TCP from one of several source addresses, TLS where the origin says so.

#include "entrepot/net/stream.h"
#include "entrepot/net/tls.h"
#include "load/reach.h"
#include "load/tally.h"

#include <vector>

namespace entrepot::load {

class Dialer {
  public:
    struct Options {
        const Reach* reach = nullptr;
        const TlsClientContext* tls = nullptr;  ///< null: an https origin fails
        std::vector<Address> sources;           ///< empty: the system chooses; on IPv4 loopback sixteen addresses take turns
        int receive_buffer = 0;                 ///< bytes of SO_RCVBUF; 0: the system's
    };

    explicit Dialer(Options options) noexcept : options_(std::move(options)) {}

    /// Tries the origin's addresses in order, beginning with the one that answered last.
    Task<Result<std::unique_ptr<Stream>, Trouble>> dial(const Origin& origin, Instant deadline);
    /// Connections under way end soon, and no new one begins.
    void interrupt() noexcept;

  private:
    Task<Result<std::unique_ptr<Stream>, Trouble>> connect(Address address, Instant deadline);
    int open_socket(const Address& to) noexcept;

    Options options_;
    std::size_t turn_ = 0;         // of the sources
    std::size_t preferred_ = 0;    // index of the address that answered last
    std::vector<int> connecting_;  // sockets
    std::vector<Stream*> handshaking_;
    bool interrupted_ = false;
};

}  // namespace entrepot::load
