#pragma once
// One request and the way to answer it. Made by the connection for each request; the handler that gets it sends exactly one response.
//
// The head's views live in a lent receive buffer. A handler that is going to wait for more than a quick send copies what it needs and calls release_head(), so that a
// thousand slow downloads do not hold a thousand buffers.

#include "entrepot/http/head_writer.h"
#include "entrepot/http/request_head.h"
#include "entrepot/io/loop.h"
#include "entrepot/net/peer.h"
#include "entrepot/net/stream.h"

#include <string>

namespace entrepot {

/// What becomes of the connection after a response.
enum class After : std::uint8_t {
    keep,   ///< the next request may follow
    close,  ///< in order: the peer sees the whole answer, then the end
    abort,  ///< by force: the body is not complete and must not look so
};

/// How long a response waits for its client: for one send, or for 64 KiB of a file.
constexpr Duration send_stall_max = std::chrono::seconds(60);

class Exchange {
  public:
    Exchange(Stream& stream, const RequestHead& head, bool may_keep, std::string_view date) noexcept
        : stream_(stream), head_(head), would_keep_(may_keep && keeps_alive(head)), may_keep_(would_keep_ && !has_body(head)),
          date_(date), is_head_(head.method == Method::head), is_1_0_(head.version_minor == 0) {}
    virtual ~Exchange() = default;

    /// Valid until release_head().
    const RequestHead& head() const noexcept { return head_; }
    bool is_head_request() const noexcept { return is_head_; }
    Stream& stream() noexcept { return stream_; }

    /// Who asks. The first call of a connection asks the kernel. Valid as long as the exchange.
    virtual const Peer& peer() = 0;

    /// Gives the receive buffer back. No view into the head may be used afterwards.
    virtual void release_head() noexcept = 0;

    /// Reads the whole body, at most `bytes_max` of it; releases the head. At most once, before begin(). A client that waits for `100 Continue` is told to go on only here, so
    /// who refuses a request for its head never asks for the body. Empty when there is none. Fails with Fault::client and
    ///   too_large    longer than `bytes_max`, known from the head where that says it: 413
    ///   bad_message  not framed as the head promised: 400
    ///   timeout      slower than Connections::Options allow: 408
    ///   closed, reset  the client left: nobody waits for an answer
    /// A connection whose body was read to its end may carry the next request; any other ends after the answer, because what follows could not be told from a request.
    virtual Task<Result<std::string>> read_body(std::size_t bytes_max) = 0;

    /// Starts a response head: status line, Date, and Connection as it will be.
    void begin(HeadWriter& writer, std::uint16_t status) noexcept {
        answered = status;
        writer.status_line(status).prepared(date_);
        if (!may_keep_) writer.prepared("Connection: close\r\n");
        // An HTTP/1.0 client keeps a connection only when it is told so (RFC 9112 appendix C.2.2).
        else if (is_1_0_) writer.prepared("Connection: keep-alive\r\n");
    }
    /// Sends the last bytes of a response. When the connection ends with it, they wait for the FIN that follows at once, so that both leave as one segment.
    Task<Result<void>> send_last(Bytes head, Bytes body) {
        body_bytes += body.size();
        return stream_.send(head, body, !may_keep_, Loop::current().time() + send_stall_max);
    }
    /// What to return after a complete response.
    After finished() const noexcept { return may_keep_ ? After::keep : After::close; }
    /// The connection ends after this response (call before begin).
    void close_after() noexcept { would_keep_ = may_keep_ = false; }

    /// Somebody found out who asks. Only the access log wants to know.
    virtual void asked_by(std::string_view account) { (void)account; }

    // What the answer came to, for counters and the access log.
    std::uint16_t answered = 0;    ///< the status that begin() wrote
    std::uint64_t body_bytes = 0;  ///< handed to the kernel; who sends past send_last() adds his
    std::string_view served;       ///< as X-Entrepot-Cache says it; of static lifetime

  protected:
    /// The body was read to its end: whether the connection may stay depends on the rest of the head again.
    void body_ended() noexcept { may_keep_ = would_keep_; }

  private:
    Stream& stream_;
    const RequestHead& head_;
    bool would_keep_, may_keep_;
    std::string_view date_;
    bool is_head_, is_1_0_;
};

/// Answers requests: the registry, the admin pages. Lives as long as its shard.
class RequestHandler {
  public:
    virtual ~RequestHandler() = default;
    virtual Task<After> handle(Exchange& exchange) = 0;
    /// An error that is answered before any handler saw the request (400, 431, ...): counts it, and gives its JSON body.
    virtual std::string refuse(std::uint16_t status, std::string_view message) = 0;
};

}  // namespace entrepot
