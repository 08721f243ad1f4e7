#include "cache/bounded_body.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t piece_bytes = 16 * KiB;  // most manifests arrive in one

}  // namespace

Task<Result<std::string>> read_bounded_body(UpstreamExchange& exchange, std::size_t bytes_max) {
    std::string body;
    for (;;) {
        auto have = body.size();
        body.resize(have + std::min(piece_bytes, bytes_max + 1 - have));
        MutableBytes into(reinterpret_cast<std::byte*>(body.data()) + have, body.size() - have);
        auto got = co_await exchange.read(into);
        if (!got) co_return got.error();
        body.resize(have + *got);
        if (*got == 0) break;
        if (body.size() > bytes_max) co_return Error{Fault::upstream, Code::too_large};
    }
    body.shrink_to_fit();  // it may stay in memory for long
    co_return body;
}

}  // namespace entrepot
