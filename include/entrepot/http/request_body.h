#pragma once
// The body of one request as its bytes arrive, framed by its head: a length, or chunks (RFC 9112 section 6). Bounded, because its bytes are kept. It tells
// exactly where the body ends, since what stands behind it is the next request.

#include "entrepot/http/chunked.h"
#include "entrepot/http/request_head.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace entrepot {

class RequestBody {
  public:
    enum class State : std::uint8_t {
        more,       ///< the body goes on behind what was given
        complete,   ///< bytes after `consumed` belong to the next request
        too_large,  ///< larger than the bound; stays so
        malformed,  ///< not the chunks that the head promised; stays so
    };
    struct Step {
        State state = State::more;
        std::size_t consumed = 0;  ///< of the input; after `more` it is all of it
    };

    /// Takes what it needs to know from the head and keeps nothing of it.
    RequestBody(const RequestHead& head, std::size_t bytes_max) noexcept;

    /// What is known already: `complete` when there is no body, `too_large` when the head says so.
    State state() const noexcept { return state_; }
    /// Takes the next bytes of the connection and appends what is body to `body`.
    Step take(Bytes input, std::string& body);

  private:
    Step take_length(Bytes input, std::string& body);
    Step take_chunks(Bytes input, std::string& body);

    ChunkedDecoder chunks_;
    std::uint64_t left_ = 0;  // of a length, or of the bound
    bool chunked_;
    State state_ = State::more;
};

}  // namespace entrepot
