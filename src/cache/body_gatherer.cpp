#include "cache/body_gatherer.h"

namespace entrepot {
namespace {

constexpr Duration buffer_wait = seconds(30);

}  // namespace

Task<Result<BodyGatherer::Piece>> BodyGatherer::next() {
    auto& loop = Loop::current();
    if (failed_) co_return *failed_;
    auto begun = co_await begin_piece();
    if (!begun) co_return begun.error();
    while (filled_ < room()) {
        if (filled_ > 0) {
            auto more = co_await exchange_.until_readable(until_);
            if (!more) failed_ = more.error();
            if (!more || !*more) break;
        }
        auto into = buffer_->bytes().subspan(filled_, room() - filled_);
        auto got = co_await exchange_.read(into);
        if (!got) failed_ = got.error();
        if (!got || *got == 0) break;
        if (filled_ == 0) until_ = loop.time() + patience();
        filled_ += *got;
        if (loop.time() >= until_) break;
    }
    if (filled_ == 0 && failed_) co_return *failed_;
    co_return take();
}

/// Waits for upstream first and for a buffer then, never the other way round.
Task<Result<void>> BodyGatherer::begin_piece() {
    auto readable = co_await exchange_.until_readable(Instant::never());
    if (!readable) co_return readable.error();
    auto taken = co_await buffers_.take(Loop::current().time() + buffer_wait);
    if (!taken) co_return Error{Fault::capacity, Code::busy};
    buffer_ = std::make_shared<Buffer>(std::move(taken));
    co_return Result<void>();
}

Duration BodyGatherer::patience() const noexcept {
    if (!any_taken_) return Duration::zero();
    return buffers_.out() * 2 <= buffers_.count() ? gather_time : gather_time_scarce;
}

BodyGatherer::Piece BodyGatherer::take() noexcept {
    Piece piece;
    piece.bytes = buffer_->bytes().first(filled_);
    piece.buffer = std::move(buffer_);
    offset_ += filled_;
    filled_ = 0;
    any_taken_ = true;
    return piece;
}

}  // namespace entrepot
