#include "entrepot/net/plain_stream.h"

#include "entrepot/io/await.h"

#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace entrepot {
namespace {

constexpr std::size_t file_slice_bytes_max = 2 * MiB;    // then the other connections of the shard have their turn
constexpr Duration memory_trusted = milliseconds(100);   // after a longer wait the pages to send may have left the page cache
constexpr std::size_t spare_bytes = 4 * KiB;             // own memory for one chunk when the shard's provided buffers are all out
constexpr std::size_t upstream_buffer_bytes = 16 * KiB;  // memory behind receive() of an outgoing connection
constexpr std::size_t discard_bytes_max = 16 * MiB;      // of one discard()
constexpr Duration linger_time_max = seconds(1);
constexpr std::size_t linger_bytes_max = 64 * KiB;

/// `= {}` would keep the capacity, and an idle connection owns nothing.
void free_memory(std::vector<std::byte>& bytes) noexcept { std::vector<std::byte>().swap(bytes); }

/// What both ends of TCP have in common: the descriptor, sending, and the end.
class SocketStream : public Stream {
  public:
    SocketStream(int socket, const Address& peer, Fault fault) noexcept
        : ring_(Loop::current().ring()), socket_(socket), fault_(fault), peer_(peer) {}
    ~SocketStream() override { ASSERT(socket_ < 0); }

    Task<Result<void>> send(Bytes head, Bytes body, bool more, Instant deadline) override;
    Task<Result<std::size_t>> send_some(Bytes bytes, bool more, Instant patience) override;
    Task<Result<std::uint64_t>> send_file(int file, std::uint64_t offset, std::uint64_t length, Instant deadline) override;
    Task<void> close(CloseHow how) override;
    void interrupt() noexcept override;
    void cork(bool on) noexcept override;
    bool is_tls() const noexcept override { return false; }
    const Address& peer() const noexcept override { return peer_; }

  protected:
    /// Ends every request that reads from the socket, and waits for it: a descriptor must not be closed under the kernel's hands.
    virtual Task<void> stop_receiving() = 0;

    Error error_of(int result) const noexcept {
        ASSERT(result < 0);
        if (interrupted_) return {fault_, Code::reset, ECONNABORTED};
        return {fault_, result == -ETIMEDOUT ? Code::timeout : Code::reset, -result};
    }
    bool interrupted() const noexcept { return interrupted_; }

    Ring& ring_;
    int socket_;

  private:
    Result<std::size_t> send_file_slice(int file, std::uint64_t offset, std::size_t length) noexcept;
    Task<Result<void>> wait_writable(Instant deadline);
    Task<void> read_and_discard();

    Fault fault_;
    bool interrupted_ = false;
    Address peer_;
};

Task<Result<void>> SocketStream::send(Bytes head, Bytes body, bool more, Instant deadline) {
    int flags = more ? MSG_MORE : 0;
    if (head.empty()) std::swap(head, body);
    while (!head.empty()) {
        auto sent = ring_.send_now(socket_, head, body, flags);
        if (sent < 0 && sent != -EAGAIN && sent != -EINTR) co_return error_of(static_cast<int>(sent));
        if (sent == -EINTR) continue;
        if (sent > 0) {
            auto of_head = std::min(static_cast<std::size_t>(sent), head.size());
            head = head.subspan(of_head);
            body = body.subspan(static_cast<std::size_t>(sent) - of_head);
            if (head.empty()) std::swap(head, body);
            if (head.empty()) break;
        }
        // A short count means that the socket's buffer is full, as EAGAIN does.
        auto writable = co_await wait_writable(deadline);
        if (!writable) co_return writable;
    }
    co_return {};
}

Task<Result<std::size_t>> SocketStream::send_some(Bytes bytes, bool more, Instant patience) {
    std::size_t total = 0;
    while (total < bytes.size()) {
        auto sent = ring_.send_now(socket_, bytes.subspan(total), {}, more ? MSG_MORE : 0);
        if (sent < 0 && sent != -EAGAIN && sent != -EINTR) co_return error_of(static_cast<int>(sent));
        if (sent > 0) total += static_cast<std::size_t>(sent);
        if (sent == -EINTR || total == bytes.size()) continue;
        auto writable = co_await wait_writable(patience);
        if (!writable && writable.error().code == Code::timeout) break;
        if (!writable) co_return writable.error();
    }
    co_return total;
}

Task<Result<std::uint64_t>> SocketStream::send_file(int file, std::uint64_t offset, std::uint64_t length, Instant deadline) {
    auto& loop = Loop::current();
    Duration patience = deadline == Instant::never() ? Duration::max() : deadline - loop.time();
    bool waited_in_vain = false;
    std::uint64_t total = 0;
    while (total < length) {
        auto slice = static_cast<std::size_t>(std::min<std::uint64_t>(length - total, file_slice_bytes_max));
        auto sent = send_file_slice(file, offset + total, slice);
        // Bytes that left before the file failed are told first.
        if (!sent && total > 0 && sent.error().fault == Fault::storage) break;
        if (!sent) co_return sent.error();
        if (*sent == 0 && waited_in_vain) co_return error_of(-ETIMEDOUT);
        total += *sent;
        if (total == length) break;
        if (*sent == slice) {
            co_await BulkTurn{};
            continue;
        }
        // A socket counts as writable when a third of its buffer is free, megabytes perhaps: a slow peer may have read a part of them in the
        // whole wait, so that only another try tells a slow one from a silent one.
        auto before = loop.time();
        auto writable = co_await wait_writable(before + patience);
        waited_in_vain = !writable && writable.error().code == Code::timeout;
        if (!writable && !waited_in_vain) co_return writable.error();
        if (!waited_in_vain && loop.time() - before > memory_trusted) break;
        co_await BulkTurn{};
    }
    co_return total;
}

void SocketStream::cork(bool on) noexcept {
    int value = on;
    ring_.set_option(socket_, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

/// How much the socket took; 0 when its buffer is full.
Result<std::size_t> SocketStream::send_file_slice(int file, std::uint64_t offset, std::size_t length) noexcept {
    auto sent = ring_.send_file_now(socket_, file, offset, length);
    if (sent > 0) return static_cast<std::size_t>(sent);
    // The file ended before its promised length: somebody cut what is never cut.
    if (sent == 0) return Error{Fault::storage, Code::corrupt, 0};
    if (sent == -EAGAIN || sent == -EINTR) return std::size_t{0};
    if (sent == -EIO) return Error{Fault::storage, Code::io_failed, EIO};
    return error_of(static_cast<int>(sent));
}

Task<Result<void>> SocketStream::wait_writable(Instant deadline) {
    if (interrupted_) co_return error_of(-ECONNABORTED);
    int result = co_await poll_socket(socket_, POLLOUT, deadline);
    if (result < 0) co_return error_of(result);
    co_return {};
}

Task<void> SocketStream::close(CloseHow how) {
    ASSERT(socket_ >= 0);
    if (how == CloseHow::abort) {
        struct linger reset {
            .l_onoff = 1, .l_linger = 0
        };
        ring_.set_option(socket_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    if (how == CloseHow::linger && !interrupted_) co_await read_and_discard();
    co_await stop_receiving();
    ring_.close(socket_);
    socket_ = -1;
}

Task<void> SocketStream::read_and_discard() {
    // Closing with unread bytes would send RST, which may overtake our answer and erase it at the peer (RFC 9112 section 9.6).
    if (ring_.shutdown(socket_, SHUT_WR) < 0) co_return;
    auto deadline = Loop::current().time() + linger_time_max;
    std::size_t discarded = 0;
    while (discarded < linger_bytes_max) {
        auto chunk = co_await receive(deadline);
        if (!chunk || chunk->empty()) co_return;
        discarded += chunk->bytes().size();
    }
}

void SocketStream::interrupt() noexcept {
    if (socket_ < 0 || interrupted_) return;
    interrupted_ = true;
    ring_.shutdown(socket_, SHUT_RDWR);
}

/// An accepted connection. One multishot receive stays armed and brings bytes in the shard's provided buffers, so that an idle connection owns no
/// buffer. What a connection may take from the others is bounded: it holds at most `held_max` provided buffers unread. The multishot is then
/// cancelled and armed again once all was read; what it still brings meanwhile is copied to `spill_` and its buffers go back at once.
///
///   idle ──receive()──> armed ──buffers full──> pausing ──cancelled──> idle
///                         ├──no buffer left──> starved: the next chunk is received into own memory, then idle
///                         └──FIN, error──────> ended
class ClientStream final : public SocketStream, private Operation {
  public:
    ClientStream(int socket, const Address& peer) noexcept
        : SocketStream(socket, peer, Fault::client), Operation(&ClientStream::on_completed) {}

    Task<Result<Chunk>> receive(Instant deadline) override;
    Task<Result<std::size_t>> receive_into(MutableBytes into, Instant deadline) override;
    Task<Result<void>> until_readable(Instant deadline) override;
    void watch_end(EndWatch* watch) noexcept override;
    Task<Result<std::size_t>> discard(std::size_t count, Instant deadline) override;

  protected:
    Task<void> stop_receiving() override;
    void give_back(std::uint32_t token) noexcept override;

  private:
    static constexpr std::size_t held_max = 4;
    static constexpr std::uint32_t own_memory = UINT32_MAX;  // a token that is no provided buffer

    struct Held {
        std::byte* data;
        std::uint32_t length;
        std::uint32_t token;
    };

    static void on_completed(Operation& operation, std::int32_t result, std::uint32_t flags, bool more) noexcept {
        static_cast<ClientStream&>(operation).completed(result, flags, more);
    }
    void completed(std::int32_t result, std::uint32_t flags, bool more) noexcept;
    void keep(std::uint32_t length, std::uint32_t flags) noexcept;
    void arm() noexcept;
    void tell_end() noexcept;
    bool readable() const noexcept { return held_count_ > 0 || !spill_.empty(); }
    bool lent() const noexcept { return lent_count_ > 0; }
    Chunk lend() noexcept;
    Chunk lend_bytes(Bytes bytes, std::uint32_t token) noexcept;
    Task<Result<Chunk>> receive_into_spare(Instant deadline);
    Bytes receive_now_into_spare();

    std::array<Held, held_max> held_{};
    std::uint8_t held_first_ = 0, held_count_ = 0;
    bool pausing_ = false, starved_ = false, ended_ = false, fresh_ = true;
    std::int32_t failure_ = 0;
    std::vector<std::byte> spill_;  // empty but for a peer that sends faster than we read
    std::vector<std::byte> lent_;   // own memory behind the chunk with the token `own_memory`
    Chunk partly_read_;             // what receive_into() had no room for
    std::uint8_t lent_count_ = 0;
    EndWatch* watch_ = nullptr;
    Condition arrived_;
};

Task<Result<Chunk>> ClientStream::receive(Instant deadline) {
    if (!partly_read_.empty()) co_return std::move(partly_read_);
    ASSERT(!lent());
    while (!readable() || interrupted()) {
        if (interrupted()) co_return error_of(-ECONNABORTED);
        if (ended_) co_return Chunk();
        if (failure_ < 0) co_return error_of(failure_);
        if (starved_) co_return co_await receive_into_spare(deadline);
        if (std::exchange(fresh_, false)) {
            // Who connects also asks: often the bytes are here already, and a connection for one request never arms a multishot.
            auto received = receive_now_into_spare();
            if (!received.empty()) co_return lend_bytes(received, own_memory);
        }
        if (!in_flight()) arm();
        bool notified = co_await arrived_.wait(deadline);
        if (!notified && !readable()) co_return error_of(-ETIMEDOUT);
    }
    co_return lend();
}

void ClientStream::arm() noexcept {
    fresh_ = false;  // from here on bytes come in one way only, else they could overtake each other
    Request request;
    request.kind = Request::Kind::receive_many;
    request.fd = socket_;
    ring_.submit(*this, request);
}

void ClientStream::completed(std::int32_t result, std::uint32_t flags, bool more) noexcept {
    if (result > 0) keep(static_cast<std::uint32_t>(result), flags);
    else if (result == 0) ended_ = true;
    else if (result == -ENOBUFS) starved_ = true;
    else if (result != -ECANCELED) failure_ = result;
    if (!more) pausing_ = false;
    if (more && held_count_ == held_max && !pausing_) {
        pausing_ = true;
        ring_.cancel(*this);
    }
    arrived_.notify_all();
    tell_end();
}

void ClientStream::watch_end(EndWatch* watch) noexcept {
    watch_ = watch;
    if (!watch_) return;
    bool has_room = held_count_ < held_max && spill_.empty();
    if (!in_flight() && !ended_ && failure_ == 0 && !starved_ && has_room) arm();
    tell_end();
}

void ClientStream::tell_end() noexcept {
    if (!watch_ || (!ended_ && failure_ == 0)) return;
    std::exchange(watch_, nullptr)->peer_ended(failure_ < 0 || interrupted());
}

void ClientStream::keep(std::uint32_t length, std::uint32_t flags) noexcept {
    auto* data = ring_.provided_buffer(flags);
    if (held_count_ < held_max && spill_.empty()) {
        held_[(held_first_ + held_count_++) % held_max] = {data, length, flags};
        return;
    }
    spill_.insert(spill_.end(), data, data + length);
    ring_.give_back(flags);
}

Chunk ClientStream::lend() noexcept {
    if (held_count_ > 0) {
        Held held = held_[held_first_];
        held_first_ = (held_first_ + 1) % held_max;
        --held_count_;
        return lend_bytes(Bytes(held.data, held.length), held.token);
    }
    lent_.swap(spill_);
    return lend_bytes(Bytes(lent_), own_memory);
}

Chunk ClientStream::lend_bytes(Bytes bytes, std::uint32_t token) noexcept {
    ++lent_count_;
    return Chunk(*this, bytes, token);
}

Task<Result<Chunk>> ClientStream::receive_into_spare(Instant deadline) {
    // The multishot ended with ENOBUFS because bytes wait in the socket: this completes at once.
    ASSERT(!in_flight());
    lent_.resize(spare_bytes);
    int received = co_await receive_some(socket_, MutableBytes(lent_), deadline);
    starved_ = false;
    if (received > 0) co_return lend_bytes(Bytes(lent_).first(static_cast<std::size_t>(received)), own_memory);
    free_memory(lent_);
    if (interrupted()) co_return error_of(-ECONNABORTED);
    if (received < 0) co_return error_of(received);
    ended_ = true;
    co_return Chunk();
}

/// What is here without waiting; nothing, too, at the end of the stream or after an error, which the multishot then tells.
Bytes ClientStream::receive_now_into_spare() {
    lent_.resize(spare_bytes);
    auto received = ring_.receive_now(socket_, MutableBytes(lent_), 0);
    if (received > 0) return Bytes(lent_).first(static_cast<std::size_t>(received));
    free_memory(lent_);
    return {};
}

Task<Result<std::size_t>> ClientStream::receive_into(MutableBytes into, Instant deadline) {
    auto chunk = co_await receive(deadline);
    if (!chunk) co_return chunk.error();
    auto count = std::min(into.size(), chunk->bytes().size());
    if (count > 0) std::memcpy(into.data(), chunk->bytes().data(), count);
    chunk->consume(count);
    if (!chunk->empty()) partly_read_ = std::move(*chunk);
    co_return count;
}

Task<Result<void>> ClientStream::until_readable(Instant deadline) {
    // Once the multishot brings bytes, nothing may take later ones from the socket behind its back.
    fresh_ = false;
    while (partly_read_.empty() && !readable() && !interrupted() && !ended_ && !starved_ && failure_ == 0) {
        if (!in_flight()) arm();
        bool notified = co_await arrived_.wait(deadline);
        if (!notified && !readable()) co_return error_of(-ETIMEDOUT);
    }
    co_return {};
}

Task<Result<std::size_t>> ClientStream::discard(std::size_t count, Instant deadline) {
    auto chunk = co_await receive(deadline);
    if (!chunk) co_return chunk.error();
    count = std::min(count, chunk->bytes().size());
    chunk->consume(count);
    if (!chunk->empty()) partly_read_ = std::move(*chunk);
    co_return count;
}

void ClientStream::give_back(std::uint32_t token) noexcept {
    ASSERT(lent());
    --lent_count_;
    if (token == own_memory) free_memory(lent_);
    else ring_.give_back(token);
}

Task<void> ClientStream::stop_receiving() {
    if (in_flight() && !pausing_) ring_.cancel(*this);
    while (in_flight()) co_await arrived_.wait();
    partly_read_.release();
    ASSERT(!lent());
    while (held_count_ > 0) lend().release();
    free_memory(spill_);
}

/// A connection that we opened. Bytes are received into the caller's memory; receive() borrows memory of its own only while a chunk is lent.
class UpstreamStream final : public SocketStream {
  public:
    UpstreamStream(int socket, const Address& peer) noexcept : SocketStream(socket, peer, Fault::upstream) {
        int one = 1;
        ring_.set_option(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }

    Task<Result<Chunk>> receive(Instant deadline) override;
    Task<Result<std::size_t>> receive_into(MutableBytes into, Instant deadline) override;
    Task<Result<void>> until_readable(Instant deadline) override;
    Task<Result<std::size_t>> discard(std::size_t count, Instant deadline) override;

  protected:
    Task<void> stop_receiving() override;
    void give_back(std::uint32_t) noexcept override { buffer_.reset(); }

  private:
    std::unique_ptr<std::byte[]> buffer_;
};

Task<Result<Chunk>> UpstreamStream::receive(Instant deadline) {
    ASSERT(!buffer_);
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(upstream_buffer_bytes);
    MutableBytes whole(buffer_.get(), upstream_buffer_bytes);
    auto received = co_await receive_into(whole, deadline);
    if (received && *received > 0) co_return Chunk(*this, Bytes(whole).first(*received), 0);
    buffer_.reset();
    if (!received) co_return received.error();
    co_return Chunk();
}

Task<Result<std::size_t>> UpstreamStream::receive_into(MutableBytes into, Instant deadline) {
    if (interrupted()) co_return error_of(-ECONNABORTED);
    int received = co_await receive_some(socket_, into, deadline);
    // A shutdown of our own looks like FIN.
    if (received < 0 || interrupted()) co_return error_of(received < 0 ? received : -ECONNABORTED);
    co_return static_cast<std::size_t>(received);
}

Task<Result<void>> UpstreamStream::until_readable(Instant deadline) {
    if (interrupted()) co_return error_of(-ECONNABORTED);
    int ready = co_await poll_socket(socket_, POLLIN, deadline);
    if (ready < 0) co_return error_of(ready);
    co_return {};
}

Task<Result<std::size_t>> UpstreamStream::discard(std::size_t count, Instant deadline) {
    if (interrupted()) co_return error_of(-ECONNABORTED);
    int dropped = co_await discard_some(socket_, static_cast<std::uint32_t>(std::min(count, discard_bytes_max)), deadline);
    if (dropped < 0 || interrupted()) co_return error_of(dropped < 0 ? dropped : -ECONNABORTED);
    co_return static_cast<std::size_t>(dropped);
}

Task<void> UpstreamStream::stop_receiving() {
    ASSERT(!buffer_);
    co_return;
}

}  // namespace

std::unique_ptr<Stream> make_client_stream(int socket, const Address& peer) {
    return std::make_unique<ClientStream>(socket, peer);
}

std::unique_ptr<Stream> make_upstream_stream(int socket, const Address& peer) {
    return std::make_unique<UpstreamStream>(socket, peer);
}

}  // namespace entrepot
