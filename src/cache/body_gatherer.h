#pragma once
// Receives an upstream body in pieces that suit the page cache. What a socket yields at once is of any length; written like that, a file's pages are cut small, and every later
// sendfile of it cost 1.4 times the CPU (13.2 against 9.3 ms for 256 MiB, ext4 on 6.18). So bytes gather until they end at a multiple of the
// buffer's size in the file, or until the oldest has waited `gather_time`: long enough for 5 MB/s to fill a buffer, and nobody notices, because a body's first bytes and its
// last wait for nothing. A buffer is held only while it holds bytes, and not for long when more than half of them are out: 200 downloads that trickle in share the 32 of a shard.

#include "entrepot/io/buffer_pool.h"
#include "entrepot/upstream/upstream.h"

#include <memory>
#include <optional>

namespace entrepot {

class BodyGatherer {
  public:
    static constexpr Duration gather_time = milliseconds(60), gather_time_scarce = milliseconds(4);

    struct Piece {
        std::shared_ptr<Buffer> buffer;  ///< whoever keeps the piece keeps the buffer
        Bytes bytes;                     ///< empty: the proper end of the body
    };

    /// `offset`: where in the file the body's first byte goes.
    BodyGatherer(UpstreamExchange& exchange, BufferPool& buffers, std::uint64_t offset) noexcept
        : exchange_(exchange), buffers_(buffers), offset_(offset) {}

    /// The next piece. A failure is told after every byte that came before it.
    Task<Result<Piece>> next();

  private:
    Task<Result<void>> begin_piece();
    Piece take() noexcept;
    Duration patience() const noexcept;
    std::size_t room() const noexcept {
        return BufferPool::buffer_bytes - static_cast<std::size_t>(offset_ % BufferPool::buffer_bytes);
    }

    UpstreamExchange& exchange_;
    BufferPool& buffers_;
    std::uint64_t offset_;  // in the file, of the buffer's first byte
    std::shared_ptr<Buffer> buffer_;
    std::size_t filled_ = 0;       // of the buffer
    bool any_taken_ = false;       // the first piece has left
    Instant until_{};              // when its bytes have waited long enough
    std::optional<Error> failed_;  // told once the bytes before it were taken
};

}  // namespace entrepot
