#include "entrepot/cache/digest_line.h"

#include "support/run_task.h"

#include <doctest/doctest.h>

#include <random>

namespace entrepot {
namespace {

constexpr auto turn_bytes = DigestLine::turn_bytes;

std::vector<std::byte> random_bytes(std::mt19937_64& random, std::size_t count) {
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

/// A body that is hashed in pieces, each in a turn of the line, as a fill does it.
struct Stream {
    Stream(std::mt19937_64& random, std::size_t bytes, DigestAlgorithm with = DigestAlgorithm::sha256)
        : body(random_bytes(random, bytes)), algorithm(with), digester(with) {}

    Task<void> run(DigestLine& line, std::vector<std::size_t> pieces, std::vector<Stream*>* ended = nullptr) {
        Bytes rest = body;
        for (std::size_t piece : pieces) {
            Bytes next = rest.first(std::min(piece, rest.size()));
            co_await line.update(digester, next);
            rest = rest.subspan(next.size());
            if (piece % 3 == 0) co_await Breathe{};  // the next bytes are not always there
        }
        co_await line.update(digester, rest);
        if (ended) ended->push_back(this);
    }
    bool right() const { return digester.finish() == Digest::of(body, algorithm); }

    std::vector<std::byte> body;
    DigestAlgorithm algorithm;
    Digester digester;
};

}  // namespace

TEST_CASE("digest line: who is alone is hashed in one turn, at once") {
    TestLoop loop;
    DigestLine line;
    std::mt19937_64 random(1);
    Stream stream(random, turn_bytes);
    TaskGroup tasks;
    tasks.start(stream.run(line, {}));
    CHECK(line.counts().turns == 0);  // not inside the caller's
    loop->turn(Instant{0});
    CHECK(tasks.running() == 0);
    CHECK(line.counts().turns == 1);
    CHECK(line.counts().bytes == turn_bytes);
    CHECK(line.counts().paired_bytes == 0);
    CHECK(stream.right());
}

TEST_CASE("digest line: two that wait are hashed side by side, in as many turns as one after the other") {
    TestLoop loop;
    DigestLine line;
    std::mt19937_64 random(2);
    Stream one(random, turn_bytes), other(random, turn_bytes);
    std::vector<Stream*> ended;
    TaskGroup tasks;
    tasks.start(one.run(line, {}, &ended));
    tasks.start(other.run(line, {}, &ended));
    loop.finish(tasks);
    CHECK(line.counts().turns == 2);
    CHECK(line.counts().bytes == 2 * turn_bytes);
    CHECK(line.counts().paired_bytes == 2 * turn_bytes);
    CHECK(ended == std::vector{&one, &other});
    CHECK(one.right());
    CHECK(other.right());
}

TEST_CASE("digest line: the rest of the longer one goes on beside the next, or alone") {
    TestLoop loop;
    DigestLine line;
    std::mt19937_64 random(3);
    Stream longest(random, 100'000), shorter(random, 30'001), shortest(random, 20'002);
    std::vector<Stream*> ended;
    TaskGroup tasks;
    for (auto* stream : {&longest, &shorter, &shortest}) tasks.start(stream->run(line, {}, &ended));
    loop.finish(tasks);
    CHECK(line.counts().turns == 1);  // 150,003 bytes are less than a turn
    CHECK(line.counts().bytes == 150'003);
    CHECK(line.counts().paired_bytes == 2 * (30'001 + 20'002));
    CHECK(ended == std::vector{&longest, &shorter, &shortest});
    for (auto* stream : ended) CHECK(stream->right());
}

TEST_CASE("digest line: no turn hashes more than its bytes, however long a piece is and whoever waits") {
    TestLoop loop;
    DigestLine line;
    std::mt19937_64 random(4);
    Stream longest(random, 5 * turn_bytes + 1), other(random, 2 * turn_bytes + 7);
    TaskGroup tasks;
    tasks.start(longest.run(line, {}));
    tasks.start(other.run(line, {}));
    loop.finish(tasks);
    CHECK(line.counts().bytes == 7 * turn_bytes + 8);
    CHECK(line.counts().turns == 8);  // the fewest that can hold so much
    CHECK(longest.right());
    CHECK(other.right());
}

TEST_CASE("digest line: a sha512 stream waits for its turn and meets nobody") {
    TestLoop loop;
    DigestLine line;
    std::mt19937_64 random(5);
    Stream one(random, 50'000, DigestAlgorithm::sha512), two(random, 50'000), three(random, 40'000, DigestAlgorithm::sha512);
    std::vector<Stream*> ended;
    TaskGroup tasks;
    for (auto* stream : {&one, &two, &three}) tasks.start(stream->run(line, {}, &ended));
    loop.finish(tasks);
    CHECK(line.counts().paired_bytes == 0);
    CHECK(line.counts().turns == 3);
    CHECK(ended == std::vector{&one, &two, &three});
    for (auto* stream : ended) CHECK(stream->right());
}

TEST_CASE("digest line: as many as a shard has buffers, cut anywhere, each has the digest that it has alone") {
    std::mt19937_64 random(6);
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        TestLoop loop;
        DigestLine line;
        std::vector<std::unique_ptr<Stream>> streams;
        TaskGroup tasks;
        for (int number = 0; number < 32; ++number) {
            auto algorithm = random() % 8 == 0 ? DigestAlgorithm::sha512 : DigestAlgorithm::sha256;
            streams.push_back(std::make_unique<Stream>(random, random() % 100'000, algorithm));
            std::vector<std::size_t> pieces(random() % 12);
            for (auto& piece : pieces) piece = random() % std::array{70, 5'000, 60'000}[random() % 3];
            tasks.start(streams.back()->run(line, std::move(pieces)));
        }
        loop.finish(tasks);
        CHECK(line.counts().paired_bytes > 0);
        for (auto& stream : streams) REQUIRE(stream->right());
    }
}

TEST_CASE("digest line: nothing to hash takes no turn") {
    TestLoop loop;
    DigestLine line;
    std::mt19937_64 random(7);
    Stream stream(random, 0);
    TaskGroup tasks;
    tasks.start(stream.run(line, {}));
    CHECK(tasks.running() == 0);
    CHECK(line.counts().turns == 0);
    CHECK(stream.right());
}

}  // namespace entrepot
