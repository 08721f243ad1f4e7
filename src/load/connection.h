#pragma once
// One HTTP/1.1 connection of the load: a request out, a head in, a body taken to its end, again. Owned by the Node that asks.

#include "entrepot/base/intrusive_list.h"
#include "entrepot/http/chunked.h"
#include "entrepot/http/response_head.h"
#include "entrepot/http/url.h"
#include "entrepot/net/stream.h"
#include "load/body.h"

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace entrepot::load {

class Connection : public ListLink {
  public:
    Connection(std::unique_ptr<Stream> stream, Origin origin, Duration patience) noexcept
        : stream_(std::move(stream)), origin_(std::move(origin)), patience_(patience) {}

    /// Sends `lines` and `rest`, which together are a request, and reads the final head of the answer; 1xx are read past, at
    /// most 16.
    Task<std::optional<Trouble>> ask(std::string_view lines, std::string_view rest, bool is_head);
    /// Of the last ask(); its views live until the next.
    const ResponseHead& head() const noexcept { return head_; }
    /// When the head was complete.
    Instant head_at() const noexcept { return head_at_; }
    /// Takes the whole body of the last ask().
    Task<std::optional<Trouble>> take(Body& body);

    /// The answer was read to its end, and both sides may go on.
    bool reusable() const noexcept { return ended_ && keeps_alive_ && used_ == filled_; }
    /// Not one byte came since the last question: on a kept connection that means that the server had ended it.
    bool silent() const noexcept { return silent_; }
    bool asked_before() const noexcept { return answers_ > 0; }
    /// Waits until the server ends the connection or says something unasked; false when interrupt() ended the wait.
    Task<bool> until_ended();

    const Origin& origin() const noexcept { return origin_; }
    void interrupt() noexcept { stream_->interrupt(); }
    Task<void> close() { co_await stream_->close(CloseHow::orderly); }

  private:
    void begin_question() noexcept;
    std::nullopt_t begin_answer(bool is_head) noexcept;
    ParseState parse_head() noexcept;
    bool make_room();
    Task<std::optional<Trouble>> take_length(Body& body, std::uint64_t left);
    Task<std::optional<Trouble>> take_until_close(Body& body);
    Task<std::optional<Trouble>> take_chunked(Body& body);
    Task<Result<std::size_t>> receive_body(Body& body, std::uint64_t most);
    std::size_t take_buffered(Body& body, std::uint64_t most);
    Instant deadline() const noexcept;

    std::unique_ptr<Stream> stream_;
    Origin origin_;
    Duration patience_;
    std::vector<char> buffer_;      // the head, and what came with it: [used_, filled_) is not read yet
    std::vector<std::byte> piece_;  // of a body that is looked at
    std::size_t used_ = 0, filled_ = 0;
    ResponseHeadParser parser_;
    ResponseHead head_;
    BodyFraming framing_;
    Instant head_at_{};
    std::uint64_t answers_ = 0;
    bool ended_ = true, keeps_alive_ = true, silent_ = true;
};

}  // namespace entrepot::load
