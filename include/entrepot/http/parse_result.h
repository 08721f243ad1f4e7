#pragma once
// What a head parser says about the bytes it has seen so far.

#include <cstdint>

namespace entrepot {

enum class ParseState : std::uint8_t {
    incomplete,  ///< a proper beginning; call again with the same bytes and more behind them
    complete,    ///< a whole head, `consumed` bytes long; what follows is body or the next message
    error,       ///< never a head, whatever follows; for requests `status` is the answer, and the connection closes after it
    tls_hello,   ///< (requests only) the first byte opens a TLS record: answer 400 at once and close
};

struct ParseResult {
    ParseState state = ParseState::incomplete;
    std::uint16_t status = 0;    ///< with `error` in a request: 400, 414, 417, 431, 501 or 505
    std::uint32_t consumed = 0;  ///< with `complete`

    friend bool operator==(const ParseResult&, const ParseResult&) = default;
};

}  // namespace entrepot
