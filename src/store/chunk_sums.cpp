#include "store/chunk_sums.h"

#include "entrepot/base/assert.h"

#define XXH_STATIC_LINKING_ONLY  // the size of the running state; the library itself stays shared
#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace entrepot {

struct ChunkSummer::State {
    XXH3_state_t running;
};

SumsHeader sums_header() noexcept { return {{'E', 'S', 'U', 'M'}, sums_version, chunk_bytes}; }

std::vector<std::uint64_t> parse_sums_file(std::string_view bytes) {
    auto expected = sums_header();
    if (bytes.size() < sizeof expected || std::memcmp(bytes.data(), &expected, sizeof expected) != 0) return {};
    bytes.remove_prefix(sizeof expected);
    std::vector<std::uint64_t> sums(bytes.size() / sizeof(std::uint64_t));
    if (!sums.empty()) std::memcpy(sums.data(), bytes.data(), sums.size() * sizeof(std::uint64_t));
    return sums;
}

std::uint64_t sum_of_chunk(Bytes chunk) noexcept { return XXH3_64bits(chunk.data(), chunk.size()); }

ChunkSummer::ChunkSummer(std::vector<std::uint64_t> whole) : state_(std::make_unique<State>()), whole_(std::move(whole)) {
    XXH3_64bits_reset(&state_->running);
}
ChunkSummer::ChunkSummer(ChunkSummer&&) noexcept = default;
ChunkSummer& ChunkSummer::operator=(ChunkSummer&&) noexcept = default;
ChunkSummer::~ChunkSummer() = default;

void ChunkSummer::update(Bytes bytes) {
    while (!bytes.empty()) {
        auto piece = bytes.first(std::min<std::uint64_t>(bytes.size(), chunk_bytes - in_chunk_));
        bytes = bytes.subspan(piece.size());
        // Whole aligned chunks, the common case, need no running state.
        if (piece.size() == chunk_bytes) {
            whole_.push_back(sum_of_chunk(piece));
            continue;
        }
        XXH3_64bits_update(&state_->running, piece.data(), piece.size());
        in_chunk_ += piece.size();
        if (in_chunk_ < chunk_bytes) continue;
        whole_.push_back(XXH3_64bits_digest(&state_->running));
        XXH3_64bits_reset(&state_->running);
        in_chunk_ = 0;
    }
}

std::vector<std::uint64_t> ChunkSummer::finish() {
    if (in_chunk_ > 0) whole_.push_back(XXH3_64bits_digest(&state_->running));
    in_chunk_ = 0;
    return std::move(whole_);
}

}  // namespace entrepot
