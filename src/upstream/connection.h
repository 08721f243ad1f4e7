#pragma once
// One HTTP/1.1 client connection: a request out, a head in, a body read to its end, again. Its owner closes it.

#include "entrepot/base/intrusive_list.h"
#include "entrepot/http/chunked.h"
#include "entrepot/http/response_head.h"
#include "entrepot/http/url.h"
#include "entrepot/net/stream.h"
#include "entrepot/upstream/upstream.h"
#include "upstream/trust.h"

#include <string>

namespace entrepot {

class UpstreamConnection : public ListLink {
  public:
    /// `upstream`: by whose policy (private addresses) it was opened; `trust`: by which trusted certificates, null without TLS.
    UpstreamConnection(std::unique_ptr<Stream> stream, const UpstreamSpec& upstream, Origin origin, Trust::Context trust) noexcept
        : trust_(std::move(trust)), stream_(std::move(stream)), upstream_(upstream), origin_(std::move(origin)) {}

    /// Sends a whole request, its body if there is one included, and reads the final response head; 1xx are read past, at most 16. The
    /// request is wiped: it may carry a login.
    Task<Result<void>> ask(std::string request, bool is_head, Instant deadline);
    /// Of the last ask(); views live until the first read_body().
    const ResponseHead& head() const noexcept { return head_; }
    /// The next bytes of the body into a buffer that is not empty; 0 at its proper end. Code::wrong_length when the connection
    /// ends before.
    Task<Result<std::size_t>> read_body(MutableBytes into, Instant deadline);
    /// Waits until read_body() will have something to say, without holding memory for it. A hint.
    Task<Result<void>> until_body_readable(Instant deadline);
    /// Reads past what is left of a short body (an error page), so that the connection may be used again.
    Task<void> read_rest_if_short(Instant deadline);
    /// True when the response was read to its end and both sides may go on.
    bool reusable() const noexcept { return ended_ && keeps_alive_ && received_.size() == used_; }
    /// True when not a single byte of the last response came: a pooled connection that the peer had closed meanwhile.
    bool silent() const noexcept { return silent_; }
    /// Looks whether an idle connection is still open and said nothing unasked: bytes that came before our question are no
    /// answer to it.
    Task<bool> is_quiet();
    /// Keeps no memory while idle.
    void rest(Instant time);

    Task<void> close() { co_await stream_->close(CloseHow::orderly); }
    void interrupt() noexcept { stream_->interrupt(); }
    /// True for the upstream that opened it and the origin that it leads to. What one upstream may reach, or trusts, is no
    /// other's.
    bool serves(const UpstreamSpec& upstream, const Origin& origin) const noexcept {
        return &upstream == &upstream_ && origin == origin_;
    }
    /// False when others are trusted since it was opened.
    bool is_trusted_by(const Trust::Context& current) const noexcept { return trust_ == current; }
    bool leads_where(const UpstreamConnection& other) const noexcept { return serves(other.upstream_, other.origin_); }
    Instant idle_since() const noexcept { return idle_since_; }

  private:
    Task<Result<void>> read_head(Instant deadline);
    Task<Result<bool>> receive_more(Instant deadline);
    Task<Result<std::size_t>> read_plain(MutableBytes into, std::uint64_t limit, Instant deadline);
    Task<Result<std::size_t>> read_chunked(MutableBytes into, Instant deadline);
    Task<Result<std::size_t>> read_chunk_data(MutableBytes into, Instant deadline);
    std::size_t take_received(MutableBytes into) noexcept;

    Trust::Context trust_;  // outlives the stream
    std::unique_ptr<Stream> stream_;
    const UpstreamSpec& upstream_;
    Origin origin_;
    ResponseHead head_;
    ResponseHeadParser parser_;
    BodyFraming framing_;
    ChunkedDecoder chunks_;
    std::string received_;  // [used_, size) is not used yet
    std::size_t used_ = 0;
    std::uint64_t left_ = 0;  // of a body with a length
    Instant idle_since_{};
    bool ended_ = false, keeps_alive_ = false, silent_ = true;
};

}  // namespace entrepot
