// A TLS stream over a plain one. mbedTLS never touches a socket: it reads from the chunk that the plain stream lent and writes records to
// `outgoing_`, and the coroutines here move both.
//
// Idle memory: mbedTLS keeps a 16 KiB record buffer for each direction, 34 KiB with its contexts; we keep nothing besides. Records to send and opened
// bytes live on the heap only while they are sent or lent.

#include "entrepot/net/tls.h"

#include "entrepot/io/await.h"

#include "net/tls_context.h"
#include "net/tls_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace entrepot {
namespace {

constexpr std::size_t send_batch_bytes = 64 * KiB;     // records are made up to this, then sent at once
constexpr std::size_t outgoing_bytes_max = 128 * KiB;  // only a peer that provokes alerts without end gets there
constexpr std::size_t file_piece_bytes = 64 * KiB;
constexpr Duration farewell_time_max = seconds(1);  // for close_notify, or the alert that says why

class TlsStream final : public Stream {
  public:
    TlsStream(std::unique_ptr<Stream> plain, Fault fault) noexcept : plain_(std::move(plain)), fault_(fault) {
        mbedtls_ssl_init(&ssl_);
    }
    ~TlsStream() override { mbedtls_ssl_free(&ssl_); }

    /// False without memory.
    bool set_up(const mbedtls_ssl_config& config) noexcept;
    /// The library's result: 0, or why the handshake failed; or the plain stream's error.
    Task<Result<int>> shake_hands(Instant deadline);
    mbedtls_ssl_context& library() noexcept { return ssl_; }

    Task<Result<Chunk>> receive(Instant deadline) override;
    Task<Result<std::size_t>> receive_into(MutableBytes into, Instant deadline) override;
    Task<Result<void>> until_readable(Instant deadline) override;
    Task<Result<std::size_t>> discard(std::size_t count, Instant deadline) override;
    Task<Result<void>> send(Bytes head, Bytes body, bool more, Instant deadline) override;
    Task<Result<std::size_t>> send_some(Bytes bytes, bool more, Instant patience) override;
    Task<Result<std::uint64_t>> send_file(int file, std::uint64_t offset, std::uint64_t length, Instant deadline) override;
    Task<void> close(CloseHow how) override;
    void interrupt() noexcept override { plain_->interrupt(); }
    void watch_end(EndWatch* watch) noexcept override { plain_->watch_end(watch); }
    bool is_tls() const noexcept override { return true; }
    const Address& peer() const noexcept override { return plain_->peer(); }

  protected:
    void give_back(std::uint32_t) noexcept override { opened_.reset(); }

  private:
    static int on_send(void* stream, const unsigned char* data, std::size_t length) noexcept;
    static int on_receive(void* stream, unsigned char* into, std::size_t length) noexcept;

    std::size_t open_now(MutableBytes into) noexcept;
    Task<Result<std::size_t>> open_some(Instant deadline);
    Task<Result<void>> seal(Bytes bytes, Instant deadline);
    Task<Result<void>> flush(bool more, Instant deadline);
    Task<Result<void>> take_more(Instant deadline);

    std::unique_ptr<Stream> plain_;
    mbedtls_ssl_context ssl_;
    Fault fault_;
    bool plain_ended_ = false;  // FIN
    bool ended_ = false;        // close_notify
    bool sending_ = false;      // a batch of records is on its way
    std::optional<Error> broken_;
    Chunk incoming_;
    std::vector<std::byte> outgoing_;
    std::unique_ptr<std::byte[]> opened_;  // behind the lent chunk
    Condition sent_;
};

bool TlsStream::set_up(const mbedtls_ssl_config& config) noexcept {
    if (mbedtls_ssl_setup(&ssl_, &config) != 0) return false;
    mbedtls_ssl_set_bio(&ssl_, this, &TlsStream::on_send, &TlsStream::on_receive, nullptr);
    return true;
}

int TlsStream::on_send(void* stream, const unsigned char* data, std::size_t length) noexcept {
    auto& self = *static_cast<TlsStream*>(stream);
    if (self.outgoing_.size() + length > outgoing_bytes_max) return MBEDTLS_ERR_SSL_CONN_EOF;
    auto* bytes = reinterpret_cast<const std::byte*>(data);
    self.outgoing_.insert(self.outgoing_.end(), bytes, bytes + length);
    return static_cast<int>(length);
}

int TlsStream::on_receive(void* stream, unsigned char* into, std::size_t length) noexcept {
    auto& self = *static_cast<TlsStream*>(stream);
    auto available = self.incoming_.bytes();
    if (available.empty()) return self.plain_ended_ ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
    auto count = std::min(length, available.size());
    std::memcpy(into, available.data(), count);
    self.incoming_.consume(count);
    if (self.incoming_.empty()) self.incoming_.release();
    return static_cast<int>(count);
}

Task<Result<int>> TlsStream::shake_hands(Instant deadline) {
    for (;;) {
        int result = mbedtls_ssl_handshake(&ssl_);
        if (result != 0 && result != MBEDTLS_ERR_SSL_WANT_READ && result != MBEDTLS_ERR_SSL_WANT_WRITE) co_return result;
        auto flushed = co_await flush(false, deadline);
        if (!flushed) co_return flushed.error();
        if (result == 0) co_return 0;
        if (!incoming_.empty()) continue;
        auto taken = co_await take_more(deadline);
        if (!taken) co_return taken.error();
    }
}

/// Waits for bytes from the peer; none means that it ended.
Task<Result<void>> TlsStream::take_more(Instant deadline) {
    auto chunk = co_await plain_->receive(deadline);
    if (!chunk) co_return chunk.error();
    if (chunk->empty()) plain_ended_ = true;
    else incoming_ = std::move(*chunk);
    co_return {};
}

/// Sends every record that was made. A reader may have one to send too (the answer to an unwanted renegotiation), so batches take turns.
Task<Result<void>> TlsStream::flush(bool more, Instant deadline) {
    while (!outgoing_.empty() || sending_) {
        if (broken_) co_return *broken_;
        if (sending_) {
            bool notified = co_await sent_.wait(deadline);
            if (!notified) co_return Error{fault_, Code::timeout, ETIMEDOUT};
            continue;
        }
        auto batch = std::exchange(outgoing_, {});
        Bytes bytes(batch);
        sending_ = true;
        auto sent = co_await plain_->send(bytes, {}, more, deadline);
        sending_ = false;
        // A record that was cut in the middle leaves nothing to say to this peer.
        if (!sent) broken_ = {fault_, Code::reset, sent.error().detail};
        sent_.notify_all();
        if (!sent) co_return sent;
    }
    if (broken_) co_return *broken_;
    co_return {};
}

/// Opens into `into` what is here, without waiting. 0: nothing yet, the end, or an error; ended_ and broken_ tell. An empty `into` only opens the next
/// record inside the library.
std::size_t TlsStream::open_now(MutableBytes into) noexcept {
    if (ended_ || broken_) return 0;
    int result = mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(into.data()), into.size());
    if (result > 0) return static_cast<std::size_t>(result);
    if (result == MBEDTLS_ERR_SSL_WANT_READ) return 0;
    if (result == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) ended_ = true;
#if MBEDTLS_VERSION_MAJOR >= 3
    else if (result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) return 0;
#endif
    // FIN without close_notify: the body may have been cut by somebody in between.
    else if (result == 0 && plain_ended_ && mbedtls_ssl_get_bytes_avail(&ssl_) == 0) broken_ = {fault_, Code::reset, ECONNRESET};
    else if (result == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) broken_ = {fault_, Code::reset, ECONNRESET};
    else if (result < 0) broken_ = {fault_, Code::bad_message, 0};
    return 0;
}

/// Waits until opened bytes stand ready in the library, and says how many; 0 is the ordered end.
Task<Result<std::size_t>> TlsStream::open_some(Instant deadline) {
    for (;;) {
        if (auto ready = mbedtls_ssl_get_bytes_avail(&ssl_); ready > 0) co_return ready;
        open_now({});
        if (auto ready = mbedtls_ssl_get_bytes_avail(&ssl_); ready > 0) co_return ready;
        if (!outgoing_.empty() && !broken_) {
            auto flushed = co_await flush(false, deadline);
            if (!flushed) co_return flushed.error();
        }
        if (broken_) co_return *broken_;
        if (ended_) co_return std::size_t{0};
        if (!incoming_.empty() || plain_ended_) continue;
        auto taken = co_await take_more(deadline);
        if (!taken) co_return taken.error();
    }
}

Task<Result<Chunk>> TlsStream::receive(Instant deadline) {
    ASSERT(!opened_);
    auto ready = co_await open_some(deadline);
    if (!ready) co_return ready.error();
    if (*ready == 0) co_return Chunk();
    opened_ = std::make_unique_for_overwrite<std::byte[]>(*ready);
    auto count = open_now(MutableBytes(opened_.get(), *ready));
    ASSERT(count == *ready);
    co_return Chunk(*this, Bytes(opened_.get(), count), 0);
}

Task<Result<std::size_t>> TlsStream::receive_into(MutableBytes into, Instant deadline) {
    auto ready = co_await open_some(deadline);
    if (!ready) co_return ready.error();
    std::size_t filled = 0;
    // As many records as are here: the caller hashes and writes what one call brings.
    while (filled < into.size()) {
        auto count = open_now(into.subspan(filled));
        if (count == 0) break;
        filled += count;
    }
    co_return filled;
}

Task<Result<void>> TlsStream::until_readable(Instant deadline) {
    bool here = ended_ || broken_ || plain_ended_ || !incoming_.empty() || mbedtls_ssl_get_bytes_avail(&ssl_) > 0;
    if (here) co_return {};
    co_return co_await plain_->until_readable(deadline);
}

Task<Result<std::size_t>> TlsStream::discard(std::size_t count, Instant deadline) {
    // Filled without a wait in between, so one for all streams of the thread is enough.
    static thread_local std::array<std::byte, 64 * KiB> dropped;
    MutableBytes into(dropped);
    auto room = into.first(std::min(count, into.size()));
    co_return co_await receive_into(room, deadline);
}

/// Makes records of `bytes`, and sends them whenever a batch is full.
Task<Result<void>> TlsStream::seal(Bytes bytes, Instant deadline) {
    while (!bytes.empty()) {
        if (broken_) co_return *broken_;
        int written = mbedtls_ssl_write(&ssl_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
        if (written <= 0) co_return Error{fault_, Code::reset, ECONNABORTED};
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        if (outgoing_.size() < send_batch_bytes) continue;
        auto flushed = co_await flush(true, deadline);
        if (!flushed) co_return flushed;
    }
    co_return {};
}

Task<Result<void>> TlsStream::send(Bytes head, Bytes body, bool more, Instant deadline) {
    auto sealed = co_await seal(head, deadline);
    if (sealed) sealed = co_await seal(body, deadline);
    if (!sealed) co_return sealed;
    co_return co_await flush(more, deadline);
}

Task<Result<std::size_t>> TlsStream::send_some(Bytes bytes, bool more, Instant patience) {
    auto sent = co_await send(bytes, {}, more, patience);
    if (!sent) co_return sent.error();
    co_return bytes.size();
}

Task<Result<std::uint64_t>> TlsStream::send_file(int file, std::uint64_t offset, std::uint64_t length, Instant deadline) {
    auto& loop = Loop::current();
    Duration patience = deadline == Instant::never() ? Duration::max() : deadline - loop.time();
    auto memory = std::make_unique_for_overwrite<std::byte[]>(std::min<std::uint64_t>(length, file_piece_bytes));
    std::uint64_t total = 0;
    while (total < length) {
        MutableBytes piece(memory.get(), std::min<std::uint64_t>(length - total, file_piece_bytes));
        int read = co_await read_file(file, piece, offset + total);
        if (read <= 0 && total > 0) break;  // bytes that left before the file failed are told first
        if (read < 0) co_return Error{Fault::storage, Code::io_failed, -read};
        if (read == 0) co_return Error{Fault::storage, Code::corrupt, 0};
        auto bytes = Bytes(piece).first(static_cast<std::size_t>(read));
        total += bytes.size();
        auto sent = co_await send(bytes, {}, total < length, loop.time() + patience);
        if (!sent) co_return sent.error();
    }
    co_return total;
}

Task<void> TlsStream::close(CloseHow how) {
    ASSERT(!opened_);
    incoming_.release();
    if (how != CloseHow::abort && !broken_) {
        mbedtls_ssl_close_notify(&ssl_);
        auto farewell = co_await flush(false, Loop::current().time() + farewell_time_max);
        // Whether it arrived or not, nothing else can be done for this peer.
        static_cast<void>(farewell);
    }
    co_await plain_->close(how);
}

/// Ends a connection whose handshake failed. The alert that says why is sent if there is one.
Task<void> abandon(std::unique_ptr<TlsStream> stream, CloseHow how) { co_await stream->close(how); }

/// What the operator can do about a failed handshake with a server.
std::string explain_handshake(int result) {
    switch (result) {
        case MBEDTLS_ERR_SSL_CONN_EOF: return "the server closed the connection during the handshake";
        case MBEDTLS_ERR_SSL_INVALID_RECORD: return "the server does not speak TLS on this port";
        case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
            return "the server refused the handshake (it may not know this name, demand a client certificate, or speak no TLS 1.2)";
        default: return "handshake failed: " + explain_tls_error(result);
    }
}

/// Errors of the library's X.509 module, which stands for the certificate itself being unusable.
bool is_certificate_error(int result) { return result <= -0x2080 && result >= -0x307f; }

/// What the handshake with a server needs. `check` is called back until the handshake ended.
Result<void> prepare(TlsStream& stream, const TlsClientContext& context, ServerCheck& check, std::string& why) {
    if (!missing_trust(context).empty()) {
        why = missing_trust(context);
        return Error{Fault::upstream, Code::tls_certificate, 0};
    }
    if (!stream.set_up(client_config(context)) || mbedtls_ssl_set_hostname(&stream.library(), check.name_for_library()) != 0) {
        why = "not enough memory for TLS, or the name is too long";
        return Error{Fault::capacity, Code::busy, ENOMEM};
    }
    mbedtls_ssl_set_verify(&stream.library(), &ServerCheck::on_certificate, &check);
    return {};
}

/// The error that a failed handshake with a server is, and why for the operator.
Error judge(const Result<int>& shaken, const ServerCheck& check, std::uint32_t flags, std::string& why) {
    if (!shaken) {
        why = shaken.error().code == Code::timeout ? "the handshake took too long" : "the connection broke during the handshake";
        return shaken.error();
    }
    bool refused = (check.saw_certificate() && flags != 0) || is_certificate_error(*shaken);
    why = refused ? check.reason(flags) : explain_handshake(*shaken);
    return {Fault::upstream, refused ? Code::tls_certificate : Code::tls_handshake, 0};
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> accept_tls(std::unique_ptr<Stream> plain, const TlsServerContext& context,
                                                 Instant deadline) {
    auto stream = std::make_unique<TlsStream>(std::move(plain), Fault::client);
    if (!stream->set_up(server_config(context))) {
        co_await abandon(std::move(stream), CloseHow::abort);
        co_return Error{Fault::capacity, Code::busy, ENOMEM};
    }
    auto shaken = co_await stream->shake_hands(deadline);
    if (shaken && *shaken == 0) co_return std::unique_ptr<Stream>(std::move(stream));
    // A client that spoke plain HTTP here still has bytes under way: linger, so that they do not turn our alert into RST.
    auto error = shaken ? Error{Fault::client, Code::tls_handshake, 0} : shaken.error();
    co_await abandon(std::move(stream), shaken ? CloseHow::linger : CloseHow::abort);
    co_return error;
}

Task<Result<std::unique_ptr<Stream>>> connect_tls(std::unique_ptr<Stream> plain, const TlsClientContext& context,
                                                  std::string host_name, Instant deadline, std::string& why) {
    auto stream = std::make_unique<TlsStream>(std::move(plain), Fault::upstream);
    ServerCheck check(host_name);
    auto prepared = prepare(*stream, context, check, why);
    if (!prepared) {
        co_await abandon(std::move(stream), CloseHow::abort);
        co_return prepared.error();
    }
    auto shaken = co_await stream->shake_hands(deadline);
    auto flags = mbedtls_ssl_get_verify_result(&stream->library());
    mbedtls_ssl_set_verify(&stream->library(), nullptr, nullptr);
    // The library's word is not enough: our own check must have seen the certificate too.
    bool trusted = !verifies(context) || (flags == 0 && check.saw_certificate());
    if (shaken && *shaken == 0 && trusted) co_return std::unique_ptr<Stream>(std::move(stream));
    auto error = judge(shaken, check, flags, why);
    co_await abandon(std::move(stream), shaken ? CloseHow::orderly : CloseHow::abort);
    co_return error;
}

}  // namespace entrepot
