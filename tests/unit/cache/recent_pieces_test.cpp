#include "entrepot/cache/recent_pieces.h"

#include "store/store_box.h"

#include <optional>
#include <thread>

namespace entrepot {
namespace {

constexpr auto piece_bytes = BufferPool::buffer_bytes;

struct PiecesBox {
    /// The piece of this number, full of it.
    void keep(std::uint64_t number, unsigned followers = 1) {
        auto buffer = std::make_shared<Buffer>(buffers.try_take());
        REQUIRE(*buffer);
        std::memset(buffer->bytes().data(), static_cast<int>(number), piece_bytes);
        Bytes bytes = buffer->bytes();
        pieces->keep(number * piece_bytes, std::move(buffer), bytes, followers);
    }
    bool has(std::uint64_t number) { return bool(pieces->read(number * piece_bytes)); }

    TestLoop loop;
    BufferPool buffers{loop->ring(), 8};
    std::shared_ptr<RecentPieces> pieces = std::make_shared<RecentPieces>();
};

}  // namespace

TEST_CASE("recent pieces: who reads gets the rest of the piece, and nothing beyond what is there") {
    PiecesBox box;
    CHECK_FALSE(box.has(0));
    box.keep(3);
    CHECK_FALSE(box.has(2));
    CHECK_FALSE(box.has(4));
    {
        auto reading = box.pieces->read(3 * piece_bytes + 1000);
        REQUIRE(reading);
        CHECK(reading.bytes().size() == piece_bytes - 1000);
        CHECK(reading.bytes()[0] == std::byte{3});
        CHECK_FALSE(box.pieces->drop_unread());
        CHECK(box.buffers.out() == 1);
    }
    CHECK(box.pieces->drop_unread());
    CHECK(box.buffers.out() == 0);
    CHECK_FALSE(box.has(3));
}

TEST_CASE("recent pieces: what every follower has read gives its buffer back") {
    PiecesBox box;
    for (std::uint64_t number = 0; number < 20; ++number) {
        box.keep(number);
        CHECK(box.has(number));
        box.loop.run_until([&] { return box.buffers.out() == 0; });
        CHECK_FALSE(box.has(number));
    }
    box.keep(20, 2);
    CHECK(box.has(20));
    box.keep(21, 2);  // the other one has not read 20
    CHECK(box.buffers.out() == 2);
    CHECK(box.has(21));
    {
        auto second = box.pieces->read(20 * piece_bytes);
        CHECK(box.has(21));
        box.loop.run_until([&] { return box.buffers.out() == 1; });
        CHECK(second.bytes()[7] == std::byte{20});
    }
    box.loop.run_until([&] { return box.buffers.out() == 0; });
}

TEST_CASE("recent pieces: a reader on another shard gives the buffer back by way of its owner") {
    PiecesBox box;
    for (std::uint64_t number = 0; number < 200; ++number) {
        box.keep(number, 2);
        auto read = [&] { CHECK(box.has(number)); };
        std::thread first(read), second(read);
        first.join();
        second.join();
        box.loop.run_until([&] { return box.buffers.out() == 0; });
    }
}

TEST_CASE("recent pieces: when their time is over, nobody begins to read them, and who does is not disturbed") {
    PiecesBox box;
    box.keep(1);
    auto reading = std::make_optional(box.pieces->read(piece_bytes));
    CHECK_FALSE(box.pieces->drop_unread());
    CHECK_FALSE(box.has(1));
    CHECK(reading->bytes()[0] == std::byte{1});
    box.keep(2);
    CHECK(box.has(2));
    reading.reset();
    CHECK(box.pieces->drop_unread());
    CHECK(box.buffers.out() == 0);
}

TEST_CASE("recent pieces: what nobody reads is kept in vain, until somebody does") {
    PiecesBox box;
    std::uint64_t number = 0;
    for (; number < RecentPieces::pieces_max + RecentPieces::unread_max; ++number) {
        CHECK_FALSE(box.pieces->in_vain());
        box.keep(number);
    }
    CHECK(box.pieces->in_vain());
    CHECK(box.has(number - 1));
    CHECK_FALSE(box.pieces->in_vain());
    CHECK(box.pieces->drop_unread());
}

TEST_CASE("recent pieces: the oldest makes room, but not while somebody reads it") {
    PiecesBox box;
    for (std::uint64_t number = 0; number <= RecentPieces::pieces_max; ++number) box.keep(number);
    CHECK(box.buffers.out() == RecentPieces::pieces_max);
    CHECK_FALSE(box.has(0));
    {
        auto reading = box.pieces->read(1 * piece_bytes);
        REQUIRE(reading);
        box.keep(5);
        CHECK_FALSE(box.has(2));
        CHECK(reading.bytes()[piece_bytes - 1] == std::byte{1});
        auto second = box.pieces->read(3 * piece_bytes), third = box.pieces->read(4 * piece_bytes),
             fourth = box.pieces->read(5 * piece_bytes);
        REQUIRE((second && third && fourth));
        box.keep(6);  // no place: its buffer goes back at once
        CHECK(box.buffers.out() == RecentPieces::pieces_max);
        CHECK_FALSE(box.has(6));
    }
    CHECK(box.pieces->drop_unread());
    CHECK(box.buffers.out() == 0);
}

}  // namespace entrepot
