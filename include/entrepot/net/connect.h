#pragma once
// Opens a TCP connection to one of several addresses: the first at once, the next 250 ms later or when the last one failed (RFC 8305 connection attempt delay), the first
// that connects wins and the others are closed.

#include "entrepot/net/stream.h"

#include <vector>

namespace entrepot {

/// `allow_private` false refuses each address that Address::is_private() says (Code::address_forbidden when none is left): the check is made on the very
/// address that is connected to, so a name that changes its mind between check and connect gains nothing.
Task<Result<std::unique_ptr<Stream>>> connect_to(std::vector<Address> addresses, bool allow_private, Instant deadline);

}  // namespace entrepot
