#pragma once
// TCP without TLS. Two ways to make one: an accepted client connection receives by multishot into the ring's provided buffers (no memory while
// idle), an outgoing connection receives into its caller's memory only.

#include "entrepot/base/error.h"
#include "entrepot/net/stream.h"

namespace entrepot {

/// `socket` is a connected non-blocking descriptor and now belongs to the stream. A Listener's sockets have TCP_NODELAY already; an upstream stream sets it.
std::unique_ptr<Stream> make_client_stream(int socket, const Address& peer);
std::unique_ptr<Stream> make_upstream_stream(int socket, const Address& peer);

}  // namespace entrepot
