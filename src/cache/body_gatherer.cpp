#include "cache/body_gatherer.h"

namespace entrepot {
namespace {

constexpr Duration buffer_wait = seconds(30);

}  // namespace

Task<Result<BodyGatherer::Piece>> BodyGatherer::next() {
    auto& loop = Loop::current();
    for (;;) {
        if (!buffer_) {
            auto taken = co_await buffers_.take(loop.time() + buffer_wait);
            if (!taken) co_return Error{Fault::capacity, Code::busy};
            buffer_ = std::make_shared<Buffer>(std::move(taken));
        }
        if (!got_ && !reading_) reading_.emplace(read());
        while (!got_) {
            bool waiting = filled_ > taken_;
            bool notified = co_await arrived_.wait(waiting ? oldest_ + gather_time : Instant::never());
            if (!notified) co_return take();
        }
        if (reading_) {
            co_await *reading_;
            reading_.reset();
        }
        bool over = !*got_ || **got_ == 0;
        if (over && filled_ > taken_) co_return take();
        if (!*got_) co_return got_->error();
        if (over) co_return Piece{};
        if (filled_ == taken_) oldest_ = loop.time();
        filled_ += **got_;
        got_.reset();
        if (filled_ == room() || loop.time() >= oldest_ + gather_time) co_return take();
    }
}

Task<void> BodyGatherer::read() {
    auto into = buffer_->bytes().subspan(filled_, room() - filled_);
    auto got = co_await exchange_.read(into);
    got_.emplace(got);
    arrived_.notify_all();
}

BodyGatherer::Piece BodyGatherer::take() noexcept {
    Piece piece;
    piece.buffer = buffer_;
    piece.bytes = buffer_->bytes().subspan(taken_, filled_ - taken_);
    taken_ = filled_;
    if (filled_ == room()) {
        ASSERT(!reading_);
        offset_ += filled_;
        buffer_.reset();
        filled_ = taken_ = 0;
    }
    return piece;
}

Task<void> BodyGatherer::close() {
    if (!reading_) co_return;
    co_await *reading_;
    reading_.reset();
}

}  // namespace entrepot
