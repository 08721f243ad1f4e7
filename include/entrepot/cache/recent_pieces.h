#pragma once
// The last bytes of a fetch that went past the page cache, still in their buffers: who follows closely sends them from here, and never meets the disk. Kept on the owner's shard,
// whose buffers they are; read on any.
//
//   keep() ── read by each follower ──────────────────> its buffer goes back (by a message to the owner)
//     ├────── `pieces_max` newer ones ────────────────> the same
//     └────── `keep_time` after the fetch's last one ─> the same, as soon as nobody reads it any more
//
// Whoever comes later reads the file.

#include "entrepot/base/bytes.h"
#include "entrepot/base/clock.h"
#include "entrepot/io/buffer_pool.h"

#include <array>
#include <memory>
#include <mutex>

namespace entrepot {

class RecentPieces : public std::enable_shared_from_this<RecentPieces> {
  public:
    static constexpr std::size_t pieces_max = 4;
    /// Longer than a round of a busy shard, in which each of 32 fills hashes a piece: pieces kept for 4 ms were gone before their followers' turn.
    static constexpr Duration keep_time = milliseconds(25);
    static constexpr unsigned unread_max = 8;

  private:
    struct Piece {
        std::uint64_t offset = 0;  // in the blob
        Bytes bytes;               // in `buffer`
        std::shared_ptr<Buffer> buffer;
        unsigned readers = 0;   // now
        unsigned readings = 0;  // ever
        bool closed = false;    // to new readers: its time is over
    };

  public:
    /// Somebody reads a piece: it stays where it is for as long as this lives, which a slow client must not be able to draw out.
    class Reading {
      public:
        Reading() = default;
        Reading(RecentPieces& pieces, Piece& piece, Bytes bytes) noexcept : pieces_(&pieces), piece_(&piece), bytes_(bytes) {}
        Reading(Reading&& other) noexcept
            : pieces_(std::exchange(other.pieces_, nullptr)), piece_(other.piece_), bytes_(other.bytes_) {}
        ~Reading();
        explicit operator bool() const noexcept { return pieces_ != nullptr; }
        Bytes bytes() const noexcept { return bytes_; }

      private:
        RecentPieces* pieces_ = nullptr;
        Piece* piece_ = nullptr;
        Bytes bytes_;
    };

    RecentPieces() noexcept;
    ~RecentPieces();
    RecentPieces(const RecentPieces&) = delete;
    RecentPieces& operator=(const RecentPieces&) = delete;

    /// Owner. Each of `followers` will read it once. It takes the place of the oldest piece that nobody reads; where all are read, followers have to find these bytes on the disk.
    void keep(std::uint64_t offset, std::shared_ptr<Buffer> buffer, Bytes bytes, unsigned followers) noexcept;
    /// Owner. Their time is over: lets go of what nobody reads now, and lets nobody begin to read the others. Whether nothing is left.
    bool drop_unread() noexcept;
    /// Owner. The last `unread_max` pieces went unread: who follows is elsewhere.
    bool in_vain() noexcept;
    /// Any thread. The bytes from `offset` to the end of their piece, or nothing.
    Reading read(std::uint64_t offset) noexcept;

  private:
    struct Release : Message {
        explicit Release(RecentPieces& owner) noexcept : pieces(owner) {}
        RecentPieces& pieces;
        std::shared_ptr<RecentPieces> kept_alive;  // while the message travels
    };

    bool done_with(const Piece& piece) const noexcept {
        return piece.buffer && piece.readers == 0 && piece.readings >= followers_;
    }
    template <typename Goes>
    void let_go(Goes goes) noexcept;

    Loop* owner_ = nullptr;  // from the first piece on
    std::mutex lock_;        // for a few instructions a piece
    std::array<Piece, pieces_max> pieces_;
    unsigned followers_ = 0;
    unsigned unread_ = 0;  // in a row
    Release release_{*this};
};

}  // namespace entrepot
