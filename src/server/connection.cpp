#include "entrepot/server/connection.h"

#include "entrepot/http/request_body.h"
#include "entrepot/net/plain_stream.h"
#include "server/date_line.h"

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::string_view answer_to_tls =
    "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks plain HTTP, not TLS.\n";
constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t error_head_bytes_max = 512;

std::string_view explain(std::uint16_t status) {
    switch (status) {
        case 408: return "the request head did not arrive in time";
        case 414: return "the request target is longer than 8 KiB";
        case 417: return "an expectation other than 100-continue cannot be met";
        case 431: return "the request head is larger than 32 KiB, or has more than 100 fields";
        case 501: return "the method is not known here";
        case 505: return "the protocol version is not HTTP/1.0 or HTTP/1.1";
        default: return "the request is not well-formed HTTP/1.1";
    }
}

}  // namespace

/// One connection while it lives. The received bytes that no head has used yet are in `chunk_`, or in `spill_` when a head came in several pieces or the handler
/// released the chunk with a pipelined request behind it.
class ServedConnection : public ListLink {
  public:
    ServedConnection(Connections& all, Stream& stream, int socket) noexcept : all_(all), stream_(stream), socket_(socket) {
        all_.live_.push_back(*this);
    }
    ~ServedConnection() { unlink(); }

    Task<CloseHow> converse();
    void interrupt_if_idle() noexcept {
        if (idle_) stream_.interrupt();
    }
    void interrupt() noexcept { stream_.interrupt(); }

  private:
    class OpenExchange;
    enum class HeadRead : std::uint8_t { complete, ended, drained, timed_out, refused, tls_hello };

    Task<HeadRead> read_head();
    Task<Result<std::string>> read_body(std::size_t bytes_max);
    Task<Result<void>> receive_body(RequestBody& framing, std::string& body);
    Result<std::size_t> take_body(RequestBody& framing, std::string& body);
    Task<Result<bool>> receive_more(Instant deadline);
    void use_up(std::size_t bytes) noexcept;
    void release_chunk() noexcept;
    void spill_chunk() noexcept;
    Task<void> refuse();
    std::string_view unread() const noexcept {
        return spilled_ ? std::string_view(spill_).substr(spill_used_) : text_of(chunk_.bytes());
    }

    Connections& all_;
    Stream& stream_;
    int socket_;
    std::unique_ptr<Peer> peer_;  // once somebody asked: an idle connection owns nothing it does not need
    RequestHead head_;
    RequestHeadParser parser_;
    Chunk chunk_;
    std::string spill_;
    std::size_t spill_used_ = 0;
    std::size_t head_bytes_ = 0;  // of the head being answered, still in front of unread()
    std::uint16_t refused_status_ = 0;
    bool spilled_ = false;
    bool idle_ = false;
    bool body_follows_ = false;  // behind the head being answered, and nobody has read it to its end
};

class ServedConnection::OpenExchange final : public Exchange {
  public:
    OpenExchange(ServedConnection& connection, bool may_keep, std::string_view date) noexcept
        : Exchange(connection.stream_, connection.head_, may_keep, date), connection_(connection) {}
    const Peer& peer() override {
        if (!connection_.peer_) connection_.peer_ = std::make_unique<Peer>(identify_peer(connection_.socket_));
        return *connection_.peer_;
    }
    void release_head() noexcept override { connection_.release_chunk(); }
    Task<Result<std::string>> read_body(std::size_t bytes_max) override {
        auto body = co_await connection_.read_body(bytes_max);
        if (body) body_ended();
        co_return body;
    }
    void asked_by(std::string_view account) override {
        if (record_) record_->account = account;
    }
    /// Keeps what the access log wants of the head, which is given back before the answer ends.
    void remember_request();
    void log(After after);

  private:
    ServedConnection& connection_;
    std::unique_ptr<AccessRecord> record_;  ///< only while there is a log: a thousand slow downloads hold no more than they need
    Instant began_{};
};

void ServedConnection::OpenExchange::remember_request() {
    record_ = std::make_unique<AccessRecord>();
    began_ = Loop::current().time();
    record_->started_us = wall_microseconds();
    record_->method = name_of(head().method);
    record_->target = head().target;
    record_->agent = head().user_agent;
}

void ServedConnection::OpenExchange::log(After after) {
    record_->took = Loop::current().time() - began_;
    record_->client = peer().text();
    record_->status = answered;
    record_->body_bytes = body_bytes;
    record_->served = served;
    record_->aborted = after == After::abort;
    connection_.all_.log_->add(*record_);
}

void ServedConnection::use_up(std::size_t bytes) noexcept {
    if (!spilled_) return chunk_.consume(bytes);
    spill_used_ += bytes;
    if (spill_used_ < spill_.size()) return;
    std::string().swap(spill_);
    spill_used_ = 0;
    spilled_ = false;
}

void ServedConnection::release_chunk() noexcept {
    use_up(std::exchange(head_bytes_, 0));
    if (spilled_) return;
    if (!chunk_.empty()) spill_chunk();
    else chunk_.release();
}

void ServedConnection::spill_chunk() noexcept {
    spill_.assign(text_of(chunk_.bytes()));
    spill_used_ = 0;
    spilled_ = true;
    chunk_.release();
}

/// One more piece of input behind what is unread. False at the end of the stream.
Task<Result<bool>> ServedConnection::receive_more(Instant deadline) {
    // A stream lends one chunk at a time: the head's first piece moves to a buffer of our own before the next is received.
    if (!spilled_ && !chunk_.empty()) spill_chunk();
    chunk_.release();
    auto received = co_await stream_.receive(deadline);
    if (!received) co_return received.error();
    if (received->empty()) co_return false;
    if (!spilled_) {
        chunk_ = *std::move(received);
        co_return true;
    }
    if (spill_used_ > 0) spill_.erase(0, std::exchange(spill_used_, 0));
    spill_.append(text_of(received->bytes()));
    co_return true;
}

Task<ServedConnection::HeadRead> ServedConnection::read_head() {
    auto& loop = Loop::current();
    Instant deadline = Instant::never();
    for (;;) {
        auto bytes = unread();
        if (!bytes.empty()) {
            auto parsed = parser_.parse(bytes, head_);
            switch (parsed.state) {
                case ParseState::complete: head_bytes_ = parsed.consumed; co_return HeadRead::complete;
                case ParseState::tls_hello: co_return HeadRead::tls_hello;
                case ParseState::error: refused_status_ = parsed.status; co_return HeadRead::refused;
                case ParseState::incomplete: break;
            }
            // The whole head has one deadline from its first byte: a byte now and then does not buy more time.
            if (deadline == Instant::never()) deadline = loop.time() + all_.options_.head_timeout;
        }
        idle_ = bytes.empty();
        if (idle_ && all_.draining_) co_return HeadRead::drained;
        auto more = co_await receive_more(idle_ ? loop.time() + all_.options_.idle_timeout : deadline);
        idle_ = false;
        if (!more) co_return more.error().code == Code::timeout && !unread().empty() ? HeadRead::timed_out : HeadRead::ended;
        if (!*more) co_return HeadRead::ended;
    }
}

Task<Result<std::string>> ServedConnection::read_body(std::size_t bytes_max) {
    use_up(std::exchange(head_bytes_, 0));
    std::string body;
    RequestBody framing(head_, bytes_max);
    if (framing.state() == RequestBody::State::too_large) co_return Error{Fault::client, Code::too_large};
    // A client whose body is on its way already does not wait for our word (RFC 9110 section 10.1.1).
    if (head_.expect_continue && body_follows_ && unread().empty()) {
        auto deadline = Loop::current().time() + all_.options_.head_timeout;
        auto sent = co_await stream_.send(bytes_of(go_on), {}, false, deadline);
        if (!sent) co_return sent.error();
    }
    auto received = co_await receive_body(framing, body);
    if (!received) co_return received.error();
    body_follows_ = false;
    release_chunk();
    co_return body;
}

Task<Result<void>> ServedConnection::receive_body(RequestBody& framing, std::string& body) {
    auto& loop = Loop::current();
    auto& options = all_.options_;
    Instant end = loop.time() + options.body_timeout;
    Instant pace_end = loop.time() + options.body_pace_time;
    std::size_t pace_bytes = 0;
    while (framing.state() != RequestBody::State::complete) {
        auto taken = take_body(framing, body);
        if (!taken) co_return taken.error();
        if (framing.state() == RequestBody::State::complete) break;
        pace_bytes += *taken;
        if (pace_bytes >= options.body_pace_bytes_min) {
            pace_end = loop.time() + options.body_pace_time;
            pace_bytes = 0;
        }
        // A client that is always ready would keep us from ever looking at the clock elsewhere.
        if (loop.time() >= std::min(end, pace_end)) co_return Error{Fault::client, Code::timeout, ETIMEDOUT};
        auto more = co_await receive_more(std::min(end, pace_end));
        if (!more) co_return more.error();
        if (!*more) co_return Error{Fault::client, Code::closed};
    }
    co_return {};
}

/// Gives what is unread to the framing; how many bytes of body it held.
Result<std::size_t> ServedConnection::take_body(RequestBody& framing, std::string& body) {
    auto before = body.size();
    auto step = framing.take(bytes_of(unread()), body);
    use_up(step.consumed);
    if (step.state == RequestBody::State::too_large) return Error{Fault::client, Code::too_large};
    if (step.state == RequestBody::State::malformed) return Error{Fault::client, Code::bad_message};
    return body.size() - before;
}

Task<CloseHow> ServedConnection::converse() {
    for (;;) {
        head_.clear();
        auto read = co_await read_head();
        switch (read) {
            case HeadRead::complete: break;
            case HeadRead::ended: co_return CloseHow::orderly;
            // The last answer may have promised to stay: a request that is on its way must not turn it into a reset.
            case HeadRead::drained: co_return CloseHow::linger;
            case HeadRead::timed_out: refused_status_ = 408; [[fallthrough]];
            case HeadRead::refused: co_await refuse(); co_return CloseHow::linger;
            case HeadRead::tls_hello: {
                auto deadline = Loop::current().time() + all_.options_.head_timeout;
                (void)co_await stream_.send(bytes_of(answer_to_tls), {}, false, deadline);
                co_return CloseHow::linger;
            }
        }
        // Unless the handler reads a body to its end, what follows it could not be told from a request, and the connection ends.
        body_follows_ = has_body(head_);
        if (body_follows_ && (head_.method == Method::get || head_.method == Method::head)) {
            refused_status_ = 400;
            co_await refuse();
            co_return CloseHow::linger;
        }
        OpenExchange exchange(*this, !all_.draining_, date_line(Loop::current()));
        if (all_.log_) exchange.remember_request();
        auto after = co_await all_.handler_.handle(exchange);
        if (all_.log_) exchange.log(after);
        use_up(std::exchange(head_bytes_, 0));
        if (after == After::abort) co_return CloseHow::abort;
        // Who asked for the end sends nothing more (RFC 9112 section 9.6), so nothing can arrive that would turn our close into a reset.
        bool nothing_follows = !keeps_alive(head_) && !body_follows_ && unread().empty();
        if (after == After::close) co_return nothing_follows ? CloseHow::orderly : CloseHow::linger;
    }
}

Task<void> ServedConnection::refuse() {
    auto body = all_.handler_.refuse(refused_status_, explain(refused_status_));
    std::array<char, error_head_bytes_max> space;
    HeadWriter writer(space);
    writer.status_line(refused_status_).prepared(date_line(Loop::current()));
    writer.field("Content-Type", "application/json").field("Content-Length", body.size()).prepared("Connection: close\r\n");
    auto head = writer.finish();
    ASSERT(head);
    auto deadline = Loop::current().time() + all_.options_.head_timeout;
    auto sent_body = head_.method == Method::head ? Bytes() : bytes_of(body);
    (void)co_await stream_.send(bytes_of(*head), sent_body, false, deadline);
    if (!all_.log_) co_return;
    AccessRecord record;
    record.started_us = wall_microseconds();
    record.client = identify_peer(socket_).text();
    record.status = refused_status_;
    record.body_bytes = sent_body.size();
    all_.log_->add(record);
}

void Connections::start(int socket) { tasks_.start(serve(socket)); }

Task<void> Connections::serve(int socket) {
    auto stream = co_await open_stream(socket);
    if (stream) {
        auto how = CloseHow::orderly;
        {
            ServedConnection connection(*this, *stream, socket);
            how = co_await connection.converse();
        }
        co_await stream->close(how);
    }
    count_out();
    slots_.release();
}

Task<std::unique_ptr<Stream>> Connections::open_stream(int socket) {
    auto plain = make_client_stream(socket, Address());
    if (!tls_) co_return plain;
    auto secured = co_await accept_tls(std::move(plain), *tls_, Loop::current().time() + options_.handshake_timeout);
    if (!secured) co_return nullptr;
    co_return *std::move(secured);
}

void Connections::drain() noexcept {
    draining_ = true;
    for (auto* connection = live_.front(); connection; connection = live_.after(*connection)) connection->interrupt_if_idle();
}

void Connections::interrupt() noexcept {
    draining_ = true;
    for (auto* connection = live_.front(); connection; connection = live_.after(*connection)) connection->interrupt();
}

}  // namespace entrepot
