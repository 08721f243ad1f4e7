#pragma once
// A connection as a stream of bytes, plain or TLS: the rest of the program cannot tell. One task reads and one task writes at a time.
// Every wait takes a deadline; a passed deadline is Code::timeout, an ordered end is an empty chunk (plain FIN; with TLS a close_notify: a bare
// FIN under TLS is Code::reset, since it may be a truncation), a forced end is Code::reset. The caller knows whose fault an error is: a stream is made
// with the Fault it reports.
//
// Owner closes before destruction: `co_await stream.close(...)`.

#include "entrepot/base/bytes.h"
#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"
#include "entrepot/io/task.h"
#include "entrepot/net/address.h"

#include <memory>

namespace entrepot {

class Stream;

/// Bytes that were received, in a buffer that the stream lends. Give it back soon: a shard has a bounded number of them.
class Chunk {
  public:
    Chunk() = default;
    Chunk(Stream& lender, Bytes bytes, std::uint32_t token) noexcept : lender_(&lender), bytes_(bytes), token_(token) {}
    Chunk(Chunk&& other) noexcept
        : lender_(std::exchange(other.lender_, nullptr)), bytes_(std::exchange(other.bytes_, {})), token_(other.token_) {}
    Chunk& operator=(Chunk&& other) noexcept {
        if (this != &other) {
            release();
            lender_ = std::exchange(other.lender_, nullptr);
            bytes_ = std::exchange(other.bytes_, {});
            token_ = other.token_;
        }
        return *this;
    }
    ~Chunk() { release(); }
    void release() noexcept;

    Bytes bytes() const noexcept { return bytes_; }
    bool empty() const noexcept { return bytes_.empty(); }  ///< the end of the stream
    /// Forgets the first `count` bytes.
    void consume(std::size_t count) noexcept { bytes_ = bytes_.subspan(count); }

  private:
    Stream* lender_ = nullptr;
    Bytes bytes_;
    std::uint32_t token_ = 0;
};

enum class CloseHow : std::uint8_t {
    orderly,  ///< what was written arrives; FIN (TLS: close_notify first)
    linger,   ///< orderly, then reads and discards a bounded while, so that the peer sees our answer and no RST overtakes it
    abort,    ///< RST: the peer must see that the body is not complete
};

/// Who wants to know that the peer has ended its side (FIN) or the connection (RST) while nobody receives.
class EndWatch {
  public:
    virtual void peer_ended(bool by_force) noexcept = 0;

  protected:
    ~EndWatch() = default;
};

class Stream {
  public:
    virtual ~Stream() = default;

    /// The next bytes, in a lent buffer; an empty chunk is the ordered end. One chunk is lent at a time: give it back before the next call.
    virtual Task<Result<Chunk>> receive(Instant deadline) = 0;
    /// The next bytes into the caller's memory; 0 is the ordered end. Not to be mixed with receive() while a chunk is unread.
    virtual Task<Result<std::size_t>> receive_into(MutableBytes into, Instant deadline) = 0;
    /// Waits until receive_into() will have something to say (bytes, the end, an error) without holding memory for it meanwhile. A hint: under TLS a record may still be
    /// on its way then.
    virtual Task<Result<void>> until_readable(Instant deadline) = 0;
    /// Drops up to `count` of the next bytes, inside the kernel where they need not be decrypted. How many; 0 is the ordered end. As receive_into() otherwise.
    virtual Task<Result<std::size_t>> discard(std::size_t count, Instant deadline) = 0;
    /// Sends all of head and body, in one piece where possible. `more`: further bytes follow at once (MSG_MORE).
    virtual Task<Result<void>> send(Bytes head, Bytes body, bool more, Instant deadline) = 0;
    /// Sends what the peer takes until `patience`, and yields how much; that it took less, or nothing, is no error. TLS sends all or fails: a record that was sealed must leave.
    virtual Task<Result<std::size_t>> send_some(Bytes bytes, bool more, Instant patience) = 0;
    /// Sends a range of a file. The caller made sure that the range is in memory (Ring::resident); a plain stream uses sendfile(2). Yields how many bytes were handed to the
    /// kernel: fewer, perhaps none, when the peer made us wait for longer than pages may be trusted to stay in memory; then the caller looks again. So
    /// too when the file fails in the middle: what left is never forgotten, since whoever goes on from another source goes on behind it; the next call fails. `deadline` bounds
    /// each wait for the peer, not the whole.
    virtual Task<Result<std::uint64_t>> send_file(int file, std::uint64_t offset, std::uint64_t length, Instant deadline) = 0;
    /// While on, only full segments leave (TCP_CORK): for a long body sent in slices, each of which would else end in a short one. A hint; off pushes what waits.
    virtual void cork(bool) noexcept {}
    /// From now on, until it is called with nothing: tells `watch` once when the peer ends, perhaps within this call. A hint: what the peer sends meanwhile
    /// is kept up to a bound, and an end behind it may be seen only by the next receive.
    virtual void watch_end(EndWatch* watch) noexcept { (void)watch; }
    /// Ends the connection and releases the descriptor. No other call may be in flight; chunks must have been given back.
    virtual Task<void> close(CloseHow how) = 0;
    /// From another task of this shard: makes pending and later calls end soon with Code::reset. close() is still needed.
    virtual void interrupt() noexcept = 0;

    virtual bool is_tls() const noexcept = 0;
    virtual const Address& peer() const noexcept = 0;

  protected:
    friend class Chunk;
    virtual void give_back(std::uint32_t token) noexcept = 0;
};

inline void Chunk::release() noexcept {
    if (auto* lender = std::exchange(lender_, nullptr)) lender->give_back(token_);
    bytes_ = {};
}

}  // namespace entrepot
