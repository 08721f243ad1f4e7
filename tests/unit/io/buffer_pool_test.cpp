#include "entrepot/io/buffer_pool.h"

#include "support/run_task.h"

#include <sys/mman.h>
#include <unistd.h>

namespace entrepot {
namespace {

Task<void> take_and_note(BufferPool& pool, std::vector<int>& order, int name, std::vector<Buffer>& held) {
    auto buffer = co_await pool.take(Instant::never());
    order.push_back(name);
    held.push_back(std::move(buffer));
}

}  // namespace

TEST_CASE("buffer pool: buffers differ, come back, and are counted") {
    TestLoop loop;
    BufferPool pool(loop->ring(), 2);
    {
        auto first = pool.try_take(), second = pool.try_take();
        REQUIRE(first);
        REQUIRE(second);
        CHECK(first.bytes().data() != second.bytes().data());
        CHECK(first.bytes().size() == BufferPool::buffer_bytes);
        CHECK_FALSE(pool.try_take());
        CHECK(pool.out() == 2);
        first = std::move(second);
        CHECK(pool.out() == 1);
    }
    CHECK(pool.out() == 0);
}

TEST_CASE("buffer pool: when all are out the deadline ends the wait with an empty buffer") {
    TestLoop loop;
    BufferPool pool(loop->ring(), 1);
    auto held = pool.try_take();
    auto late = loop.run(pool.take(now() + milliseconds(5)));
    CHECK_FALSE(late);
    held.release();
    auto next = loop.run(pool.take(now() + milliseconds(5)));
    CHECK(next);
}

TEST_CASE("buffer pool: a returned buffer belongs to whoever waits longest, a late comer does not get it") {
    TestLoop loop;
    BufferPool pool(loop->ring(), 1);
    std::vector<int> order;
    std::vector<Buffer> got;
    auto held = pool.try_take();
    TaskGroup waiting;
    for (int name = 0; name < 3; ++name) waiting.start(take_and_note(pool, order, name, got));
    held.release();
    CHECK_FALSE(pool.try_take());
    waiting.start(take_and_note(pool, order, 3, got));
    for (std::size_t turn = 1; turn <= 4; ++turn) {
        loop.run_until([&] { return order.size() == turn; });
        got.clear();
    }
    loop.finish(waiting);
    CHECK(order == std::vector<int>{0, 1, 2, 3});
    CHECK(pool.out() == 0);
}

TEST_CASE("buffer pool: reading and writing with a buffer works whether the kernel registered it or not") {
    TestLoop loop;
    BufferPool pool(loop->ring(), 2);
    int file = ::memfd_create("buffer-pool", MFD_CLOEXEC);
    REQUIRE(file >= 0);
    struct Copy {
        static Task<std::int32_t> write(int fd, Buffer& buffer, std::size_t bytes) {
            auto from = buffer.bytes().first(bytes);
            co_return co_await write_file(fd, from, 0, buffer.index());
        }
        static Task<std::int32_t> read(int fd, Buffer& buffer, std::size_t bytes) {
            auto into = buffer.bytes().first(bytes);
            co_return co_await read_file(fd, into, 0, buffer.index());
        }
    };
    auto out = pool.try_take(), in = pool.try_take();
    CHECK(out.index() == (pool.registered() ? 0 : -1));
    for (std::size_t i = 0; i < 10'000; ++i) out.bytes()[i] = static_cast<std::byte>(i * 7);
    CHECK(loop.run(Copy::write(file, out, 10'000)) == 10'000);
    CHECK(loop.run(Copy::read(file, in, 10'000)) == 10'000);
    CHECK(std::equal(in.bytes().begin(), in.bytes().begin() + 10'000, out.bytes().begin()));
    ::close(file);
}

}  // namespace entrepot
