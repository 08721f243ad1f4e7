#include "upstream/connection.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace entrepot {
namespace {

constexpr int interim_heads_max = 16;
constexpr std::size_t receive_bytes = 16 * KiB;

}  // namespace

Task<Result<void>> UpstreamConnection::ask(std::string request, bool is_head, Instant deadline) {
    silent_ = true;
    ended_ = false;
    auto sent = co_await stream_->send(bytes_of(request), {}, false, deadline);
    if (!sent) co_return Error{Fault::upstream, sent.error().code, sent.error().detail};
    for (int interim = 0; interim <= interim_heads_max; ++interim) {
        auto read = co_await read_head(deadline);
        if (!read) co_return read;
        if (head_.status >= 200) {
            framing_ = body_framing(head_, is_head);
            keeps_alive_ = entrepot::keeps_alive(head_, framing_);
            left_ = framing_.kind == BodyFraming::Kind::length ? framing_.length : 0;
            ended_ = framing_.kind == BodyFraming::Kind::none || (framing_.kind == BodyFraming::Kind::length && left_ == 0);
            chunks_ = ChunkedDecoder();
            co_return Result<void>();
        }
    }
    co_return Error{Fault::upstream, Code::bad_message};
}

Task<Result<void>> UpstreamConnection::read_head(Instant deadline) {
    head_.clear();
    parser_.reset();
    received_.erase(0, used_);
    used_ = 0;
    received_.reserve(response_head_bytes_max + receive_bytes);  // it does not move while it is parsed
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
    if (!got) co_return Error{Fault::upstream, got.error().code, got.error().detail};
    if (*got > 0) silent_ = false;
    co_return *got > 0;
}

Task<Result<std::size_t>> UpstreamConnection::read_body(MutableBytes into, Instant deadline) {
    if (ended_) co_return std::size_t{0};
    switch (framing_.kind) {
        case BodyFraming::Kind::none: break;
        case BodyFraming::Kind::chunked: co_return co_await read_chunked(into, deadline);
        case BodyFraming::Kind::length: {
            auto got = co_await read_plain(into, left_, deadline);
            if (!got) co_return got;
            if (*got == 0) co_return Error{Fault::upstream, Code::wrong_length};
            left_ -= *got;
            ended_ = left_ == 0;
            co_return got;
        }
        case BodyFraming::Kind::until_close: {
            auto got = co_await read_plain(into, UINT64_MAX, deadline);
            ended_ = got && *got == 0;
            co_return got;
        }
    }
    co_return std::size_t{0};
}

Task<void> UpstreamConnection::read_rest_if_short(Instant deadline) {
    constexpr std::uint64_t short_bytes_max = 16 * KiB;
    bool is_short = framing_.kind == BodyFraming::Kind::length && framing_.length <= short_bytes_max;
    if (!is_short || ended_ || !keeps_alive_) co_return;
    std::vector<std::byte> dropped(left_);
    Result<std::size_t> got = std::size_t{1};
    while (got && *got > 0) got = co_await read_body(dropped, deadline);
}

Task<Result<std::size_t>> UpstreamConnection::read_plain(MutableBytes into, std::uint64_t limit, Instant deadline) {
    auto room = into.first(std::min<std::uint64_t>(into.size(), limit));
    auto waiting = std::string_view(received_).substr(used_);
    if (!waiting.empty()) {
        auto count = std::min(waiting.size(), room.size());
        std::memcpy(room.data(), waiting.data(), count);
        used_ += count;
        co_return count;
    }
    auto got = co_await stream_->receive_into(room, deadline);
    if (!got) co_return Error{Fault::upstream, got.error().code, got.error().detail};
    co_return got;
}

Task<Result<std::size_t>> UpstreamConnection::read_chunked(MutableBytes into, Instant deadline) {
    for (;;) {
        auto waiting = bytes_of(std::string_view(received_).substr(used_));
        if (!waiting.empty()) {
            auto step = chunks_.step(waiting.first(std::min(waiting.size(), into.size())));
            used_ += step.consumed;
            if (step.state == ChunkedDecoder::State::error) co_return Error{Fault::upstream, Code::bad_message};
            ended_ = step.state == ChunkedDecoder::State::done;
            if (!step.data.empty()) {
                std::memcpy(into.data(), step.data.data(), step.data.size());
                co_return step.data.size();
            }
            if (ended_) co_return std::size_t{0};
            continue;
        }
        received_.clear();
        used_ = 0;
        auto more = co_await receive_more(deadline);
        if (!more) co_return more.error();
        if (!*more) co_return Error{Fault::upstream, Code::wrong_length};
    }
}

}  // namespace entrepot
