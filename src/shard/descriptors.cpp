#include "entrepot/shard/descriptors.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t process_reserve = 512;  // listeners, volumes, ledger, rings, standard streams
constexpr std::size_t open_blobs_most = 4096;
constexpr std::size_t fetching_most = 512;
constexpr std::size_t least = 64;

}  // namespace

DescriptorShare share_descriptors(std::size_t limit, std::size_t shards) noexcept {
    std::size_t share = (limit - std::min(limit, process_reserve)) / shards;
    DescriptorShare divided;
    divided.open_blobs_max = std::min(share / 4, open_blobs_most);
    divided.connections_max = share - divided.open_blobs_max - std::min(share / 8, fetching_most);
    divided.open_blobs_max = std::max(divided.open_blobs_max, least);
    divided.connections_max = std::max(divided.connections_max, least);
    return divided;
}

}  // namespace entrepot
