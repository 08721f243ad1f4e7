#include "entrepot/cache/recent_pieces.h"

#include "entrepot/base/assert.h"

#include <algorithm>

namespace entrepot {

RecentPieces::RecentPieces() noexcept {
    release_.run = [](Message& message) {
        auto& pieces = static_cast<Release&>(message).pieces;
        std::unique_lock guard(pieces.lock_);
        auto alive = std::move(pieces.release_.kept_alive);
        guard.unlock();
        pieces.let_go([&](Piece& piece) { return pieces.done_with(piece); });
    };
}

RecentPieces::~RecentPieces() {
    ASSERT(std::all_of(pieces_.begin(), pieces_.end(), [](auto& piece) { return !piece.buffer; }));
}

RecentPieces::Reading::~Reading() {
    if (!pieces_) return;
    std::lock_guard guard(pieces_->lock_);
    --piece_->readers;
    auto& release = pieces_->release_;
    if (!pieces_->done_with(*piece_) || release.kept_alive) return;
    release.kept_alive = pieces_->shared_from_this();
    pieces_->owner_->post(release);
}

template <typename Goes>
void RecentPieces::let_go(Goes goes) noexcept {
    std::array<std::shared_ptr<Buffer>, pieces_max> gone;  // go back to their pool after the lock
    std::lock_guard guard(lock_);
    for (std::size_t index = 0; index < pieces_max; ++index) {
        if (goes(pieces_[index])) gone[index] = std::move(pieces_[index].buffer);
    }
}

void RecentPieces::keep(std::uint64_t offset, std::shared_ptr<Buffer> buffer, Bytes bytes, unsigned followers) noexcept {
    std::shared_ptr<Buffer> gone;
    std::lock_guard guard(lock_);
    owner_ = &Loop::current();
    followers_ = followers;
    auto age = [](const Piece& piece) { return piece.buffer ? piece.offset + 1 : 0; };
    Piece* oldest = nullptr;
    for (auto& piece : pieces_) {
        if (piece.readers == 0 && (!oldest || age(piece) < age(*oldest))) oldest = &piece;
    }
    if (!oldest) return;
    if (oldest->buffer && oldest->readings == 0) ++unread_;
    gone = std::move(oldest->buffer);
    *oldest = Piece{offset, bytes, std::move(buffer)};
}

bool RecentPieces::drop_unread() noexcept {
    bool nothing_left = true;
    let_go([&](Piece& piece) {
        piece.closed = true;
        nothing_left &= piece.readers == 0;
        return piece.readers == 0;
    });
    return nothing_left;
}

bool RecentPieces::in_vain() noexcept {
    std::lock_guard guard(lock_);
    return unread_ >= unread_max;
}

RecentPieces::Reading RecentPieces::read(std::uint64_t offset) noexcept {
    std::lock_guard guard(lock_);
    for (auto& piece : pieces_) {
        if (!piece.buffer || piece.closed || offset < piece.offset || offset - piece.offset >= piece.bytes.size()) continue;
        ++piece.readers;
        ++piece.readings;
        unread_ = 0;
        return Reading(*this, piece, piece.bytes.subspan(offset - piece.offset));
    }
    return Reading();
}

}  // namespace entrepot
