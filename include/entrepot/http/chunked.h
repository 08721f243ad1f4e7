#pragma once
// Decodes a chunked body (RFC 9112 section 7.1) as it arrives, without copying: data comes back as views into the
// input. Strict: CRLF only, no blanks around sizes, bounded extensions and trailers, which are both dropped.

#include "entrepot/base/bytes.h"

#include <cstddef>
#include <cstdint>

namespace entrepot {

class ChunkedDecoder {
  public:
    static constexpr std::size_t size_digits_max = 16;          ///< hexadecimal, so a size cannot overflow 64 bits
    static constexpr std::size_t extension_bytes_max = 256;     ///< behind one chunk size
    static constexpr std::size_t trailer_bytes_max = 8 * 1024;  ///< all trailer lines together
    /// Extensions of the whole body, beyond which the peer is only wasting our time.
    static constexpr std::size_t extensions_bytes_max = 64 * 1024;

    enum class State : std::uint8_t {
        more,   ///< feed the rest of the input, or the next bytes received
        done,   ///< the body is complete; bytes after `consumed` belong to the next message
        error,  ///< not a chunked body; stays so
    };
    struct Step {
        State state = State::more;
        std::size_t consumed = 0;  ///< of the input; drop them, then feed what remains
        Bytes data;                ///< body bytes, a part of the input; may be empty
    };

    /// Takes bytes up to and including the next run of data, or the whole input, or the end of the body.
    /// With a non-empty input and state `more`, `consumed` is never zero. After `done` it consumes nothing.
    Step step(Bytes input) noexcept;

    /// Body bytes that the current chunk still promises: how much may be received straight into a data buffer.
    std::uint64_t chunk_bytes_left() const noexcept { return stage_ == Stage::data ? left_ : 0; }

  private:
    enum class Stage : std::uint8_t {
        size_first,
        size,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_first,
        trailer_name,
        trailer_value,
        trailer_lf,
        end_lf,
        done,
        failed,
    };
    void take(unsigned char byte) noexcept;
    void take_size(unsigned char byte) noexcept;
    void take_extension(unsigned char byte) noexcept;
    void take_trailer(unsigned char byte) noexcept;

    std::uint64_t left_ = 0;
    std::uint32_t extension_bytes_ = 0;
    std::uint32_t extensions_bytes_ = 0;
    std::uint32_t trailer_bytes_ = 0;
    std::uint8_t size_digits_ = 0;
    Stage stage_ = Stage::size_first;
};

}  // namespace entrepot
