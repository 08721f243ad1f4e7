#include "load/connection.h"

#include "entrepot/io/await.h"

#include <algorithm>
#include <cstring>

namespace entrepot::load {
namespace {

constexpr std::size_t head_buffer_bytes = 4 * KiB;  // grows to response_head_bytes_max when a head wants it
constexpr std::size_t piece_bytes = 64 * KiB;
constexpr int interim_answers_max = 16;

Trouble trouble_of(const Error& error, Trouble otherwise) noexcept {
    if (error.code == Code::timeout) return Trouble::timeout;
    if (error.code == Code::bad_message) return Trouble::bad_message;
    return otherwise;
}

}  // namespace

Instant Connection::deadline() const noexcept { return Loop::current().time() + patience_; }

/// One coroutine for all of it: with thousands of connections that wait, every frame is memory that is touched for each request.
Task<std::optional<Trouble>> Connection::ask(std::string_view lines, std::string_view rest, bool is_head) {
    begin_question();
    auto first = bytes_of(lines), second = bytes_of(rest);
    auto until = deadline();
    auto sent = co_await stream_->send(first, second, false, until);
    // A server may answer and close before it has read all; what it said may be here.
    if (!sent && sent.error().code == Code::timeout) co_return Trouble::timeout;
    for (int answers = 0; answers <= interim_answers_max;) {
        auto parsed = parse_head();
        if (parsed == ParseState::error) co_return Trouble::bad_message;
        if (parsed == ParseState::complete && head_.status >= 200) co_return begin_answer(is_head);
        if (parsed == ParseState::complete) {
            ++answers;
            continue;
        }
        if (!make_room()) co_return Trouble::bad_message;
        MutableBytes room(reinterpret_cast<std::byte*>(buffer_.data()) + filled_, buffer_.size() - filled_);
        until = deadline();
        auto got = co_await stream_->receive_into(room, until);
        if (!got) co_return trouble_of(got.error(), Trouble::reset);
        if (*got == 0) co_return Trouble::closed;
        silent_ = false;
        filled_ += *got;
    }
    co_return Trouble::bad_message;
}

void Connection::begin_question() noexcept {
    ended_ = false;
    silent_ = true;
    used_ = filled_ = 0;
    parser_.reset();
    head_.clear();
}

std::nullopt_t Connection::begin_answer(bool is_head) noexcept {
    head_at_ = now();
    framing_ = body_framing(head_, is_head);
    keeps_alive_ = keeps_alive(head_, framing_);
    ++answers_;
    return std::nullopt;
}

/// Of what is here; a complete head is used up.
ParseState Connection::parse_head() noexcept {
    if (filled_ == used_) return ParseState::incomplete;
    auto parsed = parser_.parse(std::string_view(buffer_.data() + used_, filled_ - used_), head_);
    if (parsed.state == ParseState::complete) used_ += parsed.consumed;
    return parsed.state;
}

/// Nothing moves that is still to be parsed or looked at. False when a head would be longer than any we read.
bool Connection::make_room() {
    if (buffer_.empty()) buffer_.resize(head_buffer_bytes);
    if (filled_ < buffer_.size()) return true;
    if (buffer_.size() >= 2 * response_head_bytes_max) return false;
    buffer_.resize(2 * buffer_.size());
    return true;
}

Task<std::optional<Trouble>> Connection::take(Body& body) {
    std::optional<Trouble> trouble;
    switch (framing_.kind) {
        case BodyFraming::Kind::none: break;
        case BodyFraming::Kind::length: {
            auto left = framing_.length - take_buffered(body, framing_.length);
            if (left > 0) trouble = co_await take_length(body, left);
            break;
        }
        case BodyFraming::Kind::chunked: trouble = co_await take_chunked(body); break;
        case BodyFraming::Kind::until_close: trouble = co_await take_until_close(body); break;
    }
    ended_ = !trouble;
    co_return trouble;
}

std::size_t Connection::take_buffered(Body& body, std::uint64_t most) {
    auto count = static_cast<std::size_t>(std::min<std::uint64_t>(filled_ - used_, most));
    if (count > 0) body.take(bytes_of(std::string_view(buffer_.data() + used_, count)));
    used_ += count;
    return count;
}

/// The next bytes of a body, at most `most`; 0 at the end of the connection.
Task<Result<std::size_t>> Connection::receive_body(Body& body, std::uint64_t most) {
    if (body.is_slow()) {
        auto due = body.next_read();
        if (due > Loop::current().time()) co_await Sleep(due);
    }
    auto count = static_cast<std::size_t>(std::min<std::uint64_t>(body.portion(), most));
    auto until = deadline();
    if (body.drops()) {
        auto dropped = co_await stream_->discard(count, until);
        if (dropped) body.count(*dropped);
        co_return dropped;
    }
    if (piece_.empty()) piece_.resize(piece_bytes);
    MutableBytes room(piece_.data(), std::min(count, piece_.size()));
    auto got = co_await stream_->receive_into(room, until);
    if (got) body.take(Bytes(room).first(*got));
    co_return got;
}

Task<std::optional<Trouble>> Connection::take_length(Body& body, std::uint64_t left) {
    while (left > 0) {
        auto got = co_await receive_body(body, left);
        if (!got) co_return trouble_of(got.error(), Trouble::short_body);
        if (*got == 0) co_return Trouble::short_body;
        left -= *got;
    }
    co_return std::nullopt;
}

Task<std::optional<Trouble>> Connection::take_until_close(Body& body) {
    take_buffered(body, UINT64_MAX);
    for (;;) {
        auto got = co_await receive_body(body, UINT64_MAX);
        if (!got) co_return trouble_of(got.error(), Trouble::short_body);
        if (*got == 0) co_return std::nullopt;
    }
}

Task<std::optional<Trouble>> Connection::take_chunked(Body& body) {
    ChunkedDecoder decoder;
    std::vector<std::byte> piece(piece_bytes);
    auto waiting = bytes_of(std::string_view(buffer_.data() + used_, filled_ - used_));
    bool from_buffer = true;
    for (;;) {
        while (!waiting.empty()) {
            auto step = decoder.step(waiting);
            if (step.state == ChunkedDecoder::State::error) co_return Trouble::bad_message;
            body.take(step.data);
            waiting = waiting.subspan(step.consumed);
            if (from_buffer) used_ += step.consumed;
            // What a server says behind the end of the last answer is no answer to the next question.
            if (step.state == ChunkedDecoder::State::done) {
                if (!waiting.empty()) keeps_alive_ = false;
                co_return std::nullopt;
            }
        }
        from_buffer = false;
        if (body.is_slow() && body.next_read() > Loop::current().time()) co_await Sleep(body.next_read());
        MutableBytes room(piece.data(), std::min(body.portion(), piece.size()));
        auto until = deadline();
        auto got = co_await stream_->receive_into(room, until);
        if (!got) co_return trouble_of(got.error(), Trouble::short_body);
        if (*got == 0) co_return Trouble::short_body;
        waiting = Bytes(room).first(*got);
    }
}

Task<bool> Connection::until_ended() {
    auto forever = Instant::never();
    auto got = co_await stream_->discard(1, forever);
    co_return got.has_value() || got.error().detail != ECONNABORTED;
}

}  // namespace entrepot::load
