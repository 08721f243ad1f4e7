#pragma once
// Who is at the other end of an accepted connection, as the kernel knows it: an address, or for a Unix socket the user and the groups of the process that connected.

#include "entrepot/net/address.h"

#include <sys/types.h>

#include <string>
#include <vector>

namespace entrepot {

struct Peer {
    Address address;  ///< of TCP; without a family for a Unix socket
    bool is_unix = false;
    // Of a Unix socket, at the time of its connect(): what the process became since then does not count.
    uid_t user = static_cast<uid_t>(-1);
    gid_t group = static_cast<gid_t>(-1);
    std::vector<gid_t> more_groups;

    bool is_in_group(gid_t wanted) const noexcept;
    /// "10.1.2.3:40000", "user 1000".
    std::string text() const;
};

/// Asks the kernel about an accepted descriptor of this thread's ring. A peer that is gone already is a stranger: neither Unix nor on loopback.
Peer identify_peer(int socket);

}  // namespace entrepot
