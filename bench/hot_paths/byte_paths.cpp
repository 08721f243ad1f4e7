// What every byte of a fill, and every chunk of a cold read, pays for.

#include "entrepot/oci/digest.h"

#include "base/sha256_blocks.h"
#include "store/chunk_sums.h"

#include "path.h"

#include <fmt/format.h>

#include <memory>

namespace entrepot::bench {
namespace {

using Piece = std::shared_ptr<std::vector<std::byte>>;

Piece piece_of(std::size_t bytes) {
    auto piece = std::make_shared<std::vector<std::byte>>(bytes);
    for (std::size_t i = 0; i < bytes; ++i) (*piece)[i] = static_cast<std::byte>(i * 2654435761u >> 13);
    return piece;
}

HotPath digest_path(std::string name, const Sha256Engine* engine, const Piece& piece, unsigned operations) {
    auto work = [engine, piece](Meter& meter, unsigned times) {
        force_sha256_engine(engine);
        Digester digester(DigestAlgorithm::sha256);
        meter.start();
        for (unsigned i = 0; i < times; ++i) digester.update(*piece);
        meter.stop();
        keep(digester.finish());
        force_sha256_engine(nullptr);
    };
    return {std::move(name), operations, work};
}

}  // namespace

Paths byte_paths() {
    auto piece = piece_of(64 * KiB);
    auto chunk = piece_of(chunk_bytes);
    auto small = piece_of(2 * KiB);
    Paths all;
    if (auto* engine = sha256_engine_ni()) {
        all.push_back(digest_path("sha256: 64 KiB by the CPU's instructions", engine, piece, 100));
        all.back().counted = false;  // valgrind shows programs a CPU without them
    }
    all.push_back(digest_path("sha256: 64 KiB, portable", &sha256_engine_mbedtls(), piece, 10));
    all.push_back(path("digest: of 2 KiB, portable", 50, [small] {
        force_sha256_engine(&sha256_engine_mbedtls());
        keep(Digest::of(*small));
        force_sha256_engine(nullptr);
    }));
    all.push_back(path("chunk sum: 256 KiB", 50, [chunk] { keep(sum_of_chunk(*chunk)); }));
    auto summer = std::make_shared<ChunkSummer>();
    all.push_back(
        path("chunk sum: a stream, 16 KiB at a time", 160, [summer, chunk] { summer->update(Bytes(*chunk).first(16 * KiB)); }));
    return all;
}

}  // namespace entrepot::bench
