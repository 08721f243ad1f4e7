#pragma once
// Whether an address is free to listen on. Our shards listen with SO_REUSEPORT, so a bind of theirs never learns that another process listens on the same port, and the
// kernel would deal connections to both. That other is a second server, or the remains of one that was killed: io_uring ends a ring in the background, and until then its
// accept keeps the listening socket alive (39 of 40 times after kill -9, up to 30 ms on an idle machine). Connections dealt to it are reset.

#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"
#include "entrepot/net/address.h"

#include <string>

namespace entrepot {

/// Blocking, before the shards run: waits until nobody listens on `address`, at most `patience`. The error is one line for the operator. Port 0 is always free; what keeps
/// a bind from succeeding for another reason is left to the bind that follows to say.
Result<void, std::string> wait_until_free(const Address& address, Duration patience);

}  // namespace entrepot
