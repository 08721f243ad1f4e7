#include "cache/body_gatherer.h"

#include "store/store_box.h"
#include "support/fake_upstreams.h"

namespace entrepot {
namespace {

constexpr auto whole_piece = BufferPool::buffer_bytes;

/// The sizes of the pieces in which a body comes that begins at `offset` of its file and of which each read yields `at_once`.
std::vector<std::size_t> pieces_of(std::size_t body_bytes, std::size_t at_once, std::uint64_t offset = 0) {
    TestLoop loop;
    BufferPool buffers(loop->ring(), 2);
    Offer offer;
    offer.body = std::string(body_bytes, 'x');
    offer.piece_bytes = at_once;
    std::size_t open = 0;
    FakeExchange exchange(std::move(offer), open);
    BodyGatherer body(exchange, buffers, offset);
    std::vector<std::size_t> sizes;
    for (;;) {
        auto piece = loop.run(body.next());
        REQUIRE(piece);
        if (piece->bytes.empty()) break;
        sizes.push_back(piece->bytes.size());
    }
    loop.run(exchange.finish());
    return sizes;
}

}  // namespace

TEST_CASE("body gatherer: the first bytes wait for nothing, the next fill the buffer's place in the file") {
    using Sizes = std::vector<std::size_t>;
    // One read fills each piece, so that no pause of the machine divides one.
    constexpr std::size_t first = 200'000;
    CHECK(pieces_of(whole_piece, first) == Sizes{first, whole_piece - first});
    CHECK(pieces_of(1000, first) == Sizes{1000});
    // A transfer that goes on where another broke off: nobody waits longer there either.
    constexpr std::size_t room = 220'000;
    CHECK(pieces_of(whole_piece, first, 3 * whole_piece - room) == Sizes{first, room - first, whole_piece - room});
}

}  // namespace entrepot
