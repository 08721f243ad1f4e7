#pragma once
// A small upstream body (a manifest, a list) read whole into memory. It takes none of the shard's transfer buffers: an upstream that drips its documents must not hold up
// the blobs of others.

#include "entrepot/upstream/upstream.h"

#include <string>

namespace entrepot {

/// Fails as UpstreamExchange::read does, and with Code::too_large (Fault::upstream) as soon as more than `bytes_max` have come.
Task<Result<std::string>> read_bounded_body(UpstreamExchange& exchange, std::size_t bytes_max);

}  // namespace entrepot
