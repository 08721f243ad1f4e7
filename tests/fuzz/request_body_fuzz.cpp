// Any bytes behind a head with a body: the body's end does not depend on how the bytes are cut, nothing beyond the bound is kept, and what follows the end is not
// touched. The first two bytes of the input choose the framing, the bound and the pieces.

#include "entrepot/base/assert.h"
#include "entrepot/http/request_body.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

using namespace entrepot;

namespace {

struct Taken {
    RequestBody::State state = RequestBody::State::more;
    std::size_t consumed = 0;
    std::string body;

    friend bool operator==(const Taken&, const Taken&) = default;
};

Taken take(const RequestHead& head, Bytes bytes, std::size_t bytes_max, std::size_t piece) {
    RequestBody framed(head, bytes_max);
    Taken taken{.state = framed.state()};
    while (taken.state == RequestBody::State::more && taken.consumed < bytes.size()) {
        const Bytes input = bytes.subspan(taken.consumed, std::min(piece, bytes.size() - taken.consumed));
        const auto step = framed.take(input, taken.body);
        ASSERT(step.consumed <= input.size());
        ASSERT(step.state != RequestBody::State::more || step.consumed == input.size());
        ASSERT(step.state == framed.state() && taken.body.size() <= bytes_max);
        taken.state = step.state;
        taken.consumed += step.consumed;
    }
    return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t bytes_max = data[0];
    const std::size_t piece = data[1] % 16 + 1u;
    RequestHead head;
    head.chunked = data[1] >= 64;
    if (!head.chunked) head.content_length = data[1];
    const auto copy = std::make_unique<std::byte[]>(size - 2);
    std::transform(data + 2, data + size, copy.get(), [](std::uint8_t byte) { return std::byte{byte}; });
    const Bytes bytes(copy.get(), size - 2);

    const Taken whole = take(head, bytes, bytes_max, std::max<std::size_t>(bytes.size(), 1));
    const Taken pieces = take(head, bytes, bytes_max, piece);
    ASSERT(whole.state == pieces.state && (whole.state == RequestBody::State::too_large || whole.body == pieces.body));
    if (whole.state == RequestBody::State::complete) {
        ASSERT(whole == pieces);
        ASSERT(take(head, bytes.first(whole.consumed), bytes_max, piece) == whole);
    }
    return 0;
}
