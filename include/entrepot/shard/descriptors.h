#pragma once
// How the process's descriptor limit is divided, so that no shard runs into EMFILE by what its own bounds allow: a connection and an open blob each cost one, and so does
// every connection to an upstream.

#include <cstddef>

namespace entrepot {

/// Of one shard.
struct DescriptorShare {
    std::size_t connections_max = 0;
    std::size_t open_blobs_max = 0;  ///< HotBlobs::Options::entries_max
};

/// Clients get what is left of the shard's share after a quarter for open blobs (at most 4,096 of them) and an eighth for upstreams and the files of running fetches (at
/// most 512). Never less than 64 connections and 64 blobs, even if the limit is too low for that.
DescriptorShare share_descriptors(std::size_t limit, std::size_t shards) noexcept;

}  // namespace entrepot
