#pragma once
// Whose a listening port is. The admin port is one that every user of the machine may take while the server is down; whoever does
// must not be handed the server's token by the next command that root types.

#include <cstdint>
#include <string_view>

namespace entrepot::cli {

/// Whether somebody listens on this TCP port of this machine, and everybody who does is root or `user`. False where that cannot be seen.
bool listeners_belong_to(std::uint16_t port, unsigned user);

/// What one of the kernel's tables (/proc/net/tcp, tcp6) says about it.
struct Listeners {
    bool any = false;
    bool strangers = false;
};
Listeners listeners_in(std::string_view table, std::uint16_t port, unsigned user);

}  // namespace entrepot::cli
