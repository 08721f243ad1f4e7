#include "upstream/connection.h"

#include "entrepot/io/loop.h"
#include "upstream/secret.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace entrepot {
namespace {

constexpr int interim_heads_max = 16;
constexpr std::size_t receive_bytes = 16 * KiB;
constexpr std::size_t short_body_bytes_max = 16 * KiB;

Error as_upstream(const Error& error) noexcept { return {Fault::upstream, error.code, error.detail}; }

}  // namespace

Task<Result<void>> UpstreamConnection::ask(std::string request, bool is_head, Instant deadline) {
    silent_ = true;
    ended_ = keeps_alive_ = false;  // until a head says otherwise
    auto sent = co_await stream_->send(bytes_of(request), {}, false, deadline);
    wipe(request);
    if (!sent) co_return as_upstream(sent.error());
    for (int interim = 0; interim <= interim_heads_max; ++interim) {
        auto read = co_await read_head(deadline);
        if (!read) co_return read;
        if (head_.status < 200) continue;
        framing_ = body_framing(head_, is_head);
        keeps_alive_ = entrepot::keeps_alive(head_, framing_);
        left_ = framing_.kind == BodyFraming::Kind::length ? framing_.length : 0;
        ended_ = framing_.kind == BodyFraming::Kind::none || (framing_.kind == BodyFraming::Kind::length && left_ == 0);
        chunks_ = ChunkedDecoder();
        co_return Result<void>();
    }
    co_return Error{Fault::upstream, Code::bad_message};
}

Task<Result<void>> UpstreamConnection::read_head(Instant deadline) {
    head_.clear();
    parser_.reset();
    received_.erase(0, used_);
    used_ = 0;
    for (;;) {
        auto parsed = parser_.parse(received_, head_);
        if (parsed.state == ParseState::complete) {
            used_ = parsed.consumed;
            co_return Result<void>();
        }
        if (parsed.state != ParseState::incomplete) co_return Error{Fault::upstream, Code::bad_message};
        auto more = co_await receive_more(deadline);
        if (!more) co_return more.error();
        if (!*more) co_return Error{Fault::upstream, Code::closed};
    }
}

/// Appends what the peer sends next; false at the end of the stream.
Task<Result<bool>> UpstreamConnection::receive_more(Instant deadline) {
    auto before = received_.size();
    received_.resize(before + receive_bytes);
    MutableBytes into(reinterpret_cast<std::byte*>(received_.data()) + before, receive_bytes);
    auto got = co_await stream_->receive_into(into, deadline);
    received_.resize(before + (got ? *got : 0));
    if (!got) co_return as_upstream(got.error());
    if (*got > 0) silent_ = false;
    co_return *got > 0;
}

Task<Result<std::size_t>> UpstreamConnection::read_body(MutableBytes into, Instant deadline) {
    ASSERT(!into.empty());
    if (ended_) co_return std::size_t{0};
    if (framing_.kind == BodyFraming::Kind::chunked) co_return co_await read_chunked(into, deadline);
    bool has_length = framing_.kind == BodyFraming::Kind::length;
    auto got = co_await read_plain(into, has_length ? left_ : UINT64_MAX, deadline);
    if (!got) co_return got;
    if (!has_length) {
        ended_ = *got == 0;
        co_return got;
    }
    if (*got == 0) co_return Error{Fault::upstream, Code::wrong_length};
    left_ -= *got;
    ended_ = left_ == 0;
    co_return got;
}

Task<Result<void>> UpstreamConnection::until_body_readable(Instant deadline) {
    if (ended_ || used_ < received_.size()) co_return Result<void>();
    auto readable = co_await stream_->until_readable(deadline);
    if (!readable) co_return as_upstream(readable.error());
    co_return readable;
}

Task<void> UpstreamConnection::read_rest_if_short(Instant deadline) {
    if (ended_ || !keeps_alive_ || left_ > short_body_bytes_max) co_return;
    std::vector<std::byte> dropped(short_body_bytes_max);
    for (std::size_t total = 0; total <= short_body_bytes_max;) {
        auto got = co_await read_body(dropped, deadline);
        if (!got || *got == 0) co_return;
        total += *got;
    }
}

Task<bool> UpstreamConnection::is_quiet() {
    std::byte unasked[1];
    auto got = co_await stream_->receive_into(unasked, Loop::current().time());
    co_return !got && got.error().code == Code::timeout;
}

void UpstreamConnection::rest(Instant time) {
    ASSERT(reusable());
    head_.clear();    // its views end with what they look at
    wipe(received_);  // it may have held a token
    received_ = std::string();
    used_ = 0;
    idle_since_ = time;
}

/// What came behind the head, or behind an earlier part of the body.
std::size_t UpstreamConnection::take_received(MutableBytes into) noexcept {
    auto waiting = std::string_view(received_).substr(used_);
    auto count = std::min(waiting.size(), into.size());
    if (count > 0) std::memcpy(into.data(), waiting.data(), count);
    used_ += count;
    return count;
}

Task<Result<std::size_t>> UpstreamConnection::read_plain(MutableBytes into, std::uint64_t limit, Instant deadline) {
    auto room = into.first(std::min<std::uint64_t>(into.size(), limit));
    if (auto taken = take_received(room); taken > 0) co_return taken;
    auto got = co_await stream_->receive_into(room, deadline);
    if (!got) co_return as_upstream(got.error());
    co_return got;
}

Task<Result<std::size_t>> UpstreamConnection::read_chunked(MutableBytes into, Instant deadline) {
    for (;;) {
        auto waiting = bytes_of(std::string_view(received_).substr(used_));
        if (waiting.empty()) {
            received_.clear();
            used_ = 0;
            if (chunks_.chunk_bytes_left() > 0) co_return co_await read_chunk_data(into, deadline);
            auto more = co_await receive_more(deadline);
            if (!more) co_return more.error();
            if (!*more) co_return Error{Fault::upstream, Code::wrong_length};
            continue;
        }
        auto step = chunks_.step(waiting.first(std::min(waiting.size(), into.size())));
        used_ += step.consumed;
        if (step.state == ChunkedDecoder::State::error) co_return Error{Fault::upstream, Code::bad_message};
        ended_ = step.state == ChunkedDecoder::State::done;
        if (!step.data.empty()) {
            std::memcpy(into.data(), step.data.data(), step.data.size());
            co_return step.data.size();
        }
        if (ended_) co_return std::size_t{0};
    }
}

/// In the middle of a chunk the bytes go straight to the caller; the decoder only counts them.
Task<Result<std::size_t>> UpstreamConnection::read_chunk_data(MutableBytes into, Instant deadline) {
    auto room = into.first(std::min<std::uint64_t>(into.size(), chunks_.chunk_bytes_left()));
    auto got = co_await stream_->receive_into(room, deadline);
    if (!got) co_return as_upstream(got.error());
    if (*got == 0) co_return Error{Fault::upstream, Code::wrong_length};
    auto step = chunks_.step(Bytes(room).first(*got));
    ASSERT(step.consumed == *got && step.data.size() == *got);
    co_return got;
}

}  // namespace entrepot
