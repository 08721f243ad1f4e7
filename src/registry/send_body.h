#pragma once
// The bytes of a blob, from wherever they come, to a client whose response head is already on its way.

#include "registry/call.h"

namespace entrepot {

/// Sends `part` of the blob. A failure means that the body is short: the connection must be aborted.
Task<Result<void>> send_body(Call& call, const Digest& digest, BlobSource source, BlobPart part);

}  // namespace entrepot
