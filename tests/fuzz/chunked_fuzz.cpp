// Any bytes as a chunked body: the decoder makes progress, never says more than was there, and the way the bytes are cut
// into pieces changes nothing. The first byte of the input chooses the pieces.

#include "entrepot/base/assert.h"
#include "entrepot/http/chunked.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

using namespace entrepot;

namespace {

struct Decoded {
    ChunkedDecoder::State state = ChunkedDecoder::State::more;
    std::size_t consumed = 0;
    std::string data;

    friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode(Bytes bytes, std::size_t piece) {
    ChunkedDecoder decoder;
    Decoded out;
    while (out.consumed < bytes.size() && out.state == ChunkedDecoder::State::more) {
        const Bytes input = bytes.subspan(out.consumed, std::min(piece, bytes.size() - out.consumed));
        const std::uint64_t promised = decoder.chunk_bytes_left();
        const auto step = decoder.step(input);
        ASSERT(step.consumed <= input.size() && (step.consumed > 0 || step.state == ChunkedDecoder::State::error));
        if (!step.data.empty()) {
            ASSERT(step.data.data() >= input.data() && step.data.data() + step.data.size() <= input.data() + input.size());
            ASSERT(promised == 0 || step.data.size() == std::min<std::uint64_t>(promised, input.size()));
        }
        out.state = step.state;
        out.consumed += step.consumed;
        out.data += text_of(step.data);
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t piece = data[0] % 16 + 1u;
    const auto copy = std::make_unique<std::byte[]>(size - 1);
    std::transform(data + 1, data + size, copy.get(), [](std::uint8_t byte) { return std::byte{byte}; });
    const Bytes bytes(copy.get(), size - 1);

    const Decoded whole = decode(bytes, std::max<std::size_t>(bytes.size(), 1));
    ASSERT(whole.data.size() <= bytes.size());
    ASSERT(whole == decode(bytes, piece));
    if (whole.state == ChunkedDecoder::State::done) {
        // At least "0 CRLF CRLF", and nothing decoded is taken back by what follows.
        ASSERT(whole.consumed >= 5 && text_of(bytes.subspan(0, whole.consumed)).ends_with("\r\n"));
        ASSERT(decode(bytes.subspan(0, whole.consumed), piece) == whole);
    }
    return 0;
}
