#include "entrepot/io/await.h"

#include "support/second_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace entrepot {
namespace {

struct Pipe {
    Pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
    ~Pipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    int ends[2];
};

Task<bool> acquire(Semaphore& semaphore, Instant deadline, std::vector<int>& order, int name) {
    bool mine = co_await semaphore.acquire(deadline);
    if (mine) order.push_back(name);
    co_return mine;
}

Task<void> acquire_quietly(Semaphore& semaphore, std::vector<int>& order, int name) {
    auto waiting = acquire(semaphore, Instant::never(), order, name);
    (void)co_await waiting;
}

Task<bool> carry(Condition::Wait& wait) { co_return co_await wait; }

Task<bool> wait_for(Condition& condition, Instant deadline) { co_return co_await condition.wait(deadline); }

Task<void> sleep_until(Instant instant) { co_await Sleep(instant); }

Task<std::int32_t> poll_for(int fd, Instant deadline) { co_return co_await poll_socket(fd, POLLIN, deadline); }

Task<int> answer_later(int value) {
    co_await Sleep(milliseconds(1));
    co_return value;
}

template <typename Function>
Task<int> ask_other(Loop& other, Function& function) {
    co_return co_await run_on(other, function);
}

template <typename Function>
Task<int> call_other(Loop& other, Function& function) {
    co_return co_await call_on(other, function);
}

}  // namespace

TEST_CASE("await: a request that outlives its deadline ends as timed out, one that does not keeps its result") {
    TestLoop loop;
    Pipe pipe;
    CHECK(loop.run(poll_for(pipe.ends[0], now() + milliseconds(10))) == -ETIMEDOUT);
    REQUIRE(::write(pipe.ends[1], "x", 1) == 1);
    CHECK(loop.run(poll_for(pipe.ends[0], now() + seconds(10))) == POLLIN);
    CHECK(loop->timers().armed() == 0);
}

TEST_CASE("await: a deadline that has passed already still ends the request") {
    TestLoop loop;
    Pipe pipe;
    CHECK(loop.run(poll_for(pipe.ends[0], Instant{1})) == -ETIMEDOUT);
}

TEST_CASE("await: sleeping lasts at least as long as was asked") {
    TestLoop loop;
    for (auto length : {Duration(0), Duration(1), Duration(milliseconds(3)), Duration(milliseconds(20))}) {
        auto until = now() + length;
        loop.run(sleep_until(until));
        CHECK(now() >= until);
    }
}

TEST_CASE("condition: notify_all wakes all that wait, notify_one the one that waits longest, a deadline nobody else") {
    TestLoop loop;
    Condition condition;
    auto first = wait_for(condition, Instant::never());
    auto second = wait_for(condition, now() + seconds(20));
    auto late = wait_for(condition, now() + milliseconds(5));
    CHECK(condition.has_waiters());
    CHECK_FALSE(loop.run(std::move(late)));
    CHECK(condition.notify_one());
    CHECK(loop.run(std::move(first)));
    CHECK_FALSE(second.done());
    auto third = wait_for(condition, Instant::never());
    condition.notify_all();
    CHECK(loop.run(std::move(second)));
    CHECK(loop.run(std::move(third)));
    CHECK_FALSE(condition.notify_one());
    CHECK(loop->timers().armed() == 0);
}

TEST_CASE("condition: a wait under way can be given another deadline") {
    TestLoop loop;
    Condition condition;
    for (auto before : {Instant::never(), now() + seconds(20)}) {
        auto wait = condition.wait(before);
        wait.wait_until(now());  // nobody waits yet: nothing to move
        auto waiting = carry(wait);
        wait.wait_until(now() + milliseconds(2));
        CHECK_FALSE(loop.run(std::move(waiting)));
        wait.wait_until(now());
    }
    CHECK(loop->timers().armed() == 0);
}

TEST_CASE("semaphore: slots go in the order of asking, and nobody overtakes a slot that was handed over") {
    TestLoop loop;
    Semaphore semaphore(1, 8);
    std::vector<int> order;
    REQUIRE(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire());
    TaskGroup waiting;
    for (int name = 0; name < 3; ++name) waiting.start(acquire_quietly(semaphore, order, name));
    CHECK(semaphore.waiting() == 3);
    semaphore.release();
    CHECK_FALSE(semaphore.try_acquire());  // it belongs to the first already, who has not run yet
    loop.run_until([&] { return order.size() == 1; });
    semaphore.release();
    semaphore.release();
    loop.finish(waiting);
    CHECK(order == std::vector<int>{0, 1, 2});
    semaphore.release();
    CHECK(semaphore.try_acquire());
}

TEST_CASE("semaphore: a full queue refuses at once, a passed deadline leaves the queue") {
    TestLoop loop;
    Semaphore semaphore(0, 2);
    std::vector<int> order;
    auto first = acquire(semaphore, now() + milliseconds(5), order, 1);
    auto second = acquire(semaphore, now() + seconds(20), order, 2);
    auto refused = acquire(semaphore, now() + seconds(20), order, 3);
    REQUIRE(refused.done());
    CHECK_FALSE(loop.run(std::move(refused)));
    CHECK_FALSE(loop.run(std::move(first)));
    CHECK(semaphore.waiting() == 1);
    semaphore.release();
    CHECK(loop.run(std::move(second)));
    CHECK(order == std::vector<int>{2});
}

TEST_CASE("loops: work and results cross to another thread and back") {
    TestLoop loop;
    SecondLoop second;
    auto where = [&] { return &Loop::current() == &second.loop() ? 1 : 0; };
    CHECK(loop.run(call_other(second.loop(), where)) == 1);
    int turn = 0;
    auto task = [&] { return answer_later(turn); };
    for (turn = 0; turn < 50; ++turn) CHECK(loop.run(ask_other(second.loop(), task)) == turn);
    // A task that ends without waiting takes the same way.
    auto at_once = [] { return []() -> Task<int> { co_return 7; }(); };
    CHECK(loop.run(ask_other(second.loop(), at_once)) == 7);
    // To oneself as well.
    CHECK(loop.run(ask_other(*loop, at_once)) == 7);
}

TEST_CASE("loops: a thousand messages from two sides all arrive") {
    TestLoop loop;
    SecondLoop second;
    std::atomic<int> arrived{0};
    auto count = [&] { return arrived.fetch_add(1) >= 0 ? 1 : 0; };
    struct Asker {
        static Task<void> ask(Loop& other, decltype(count)& function) {
            for (int i = 0; i < 100; ++i) (void)co_await call_on(other, function);
        }
    };
    TaskGroup asking;
    for (int i = 0; i < 10; ++i) asking.start(Asker::ask(second.loop(), count));
    loop.finish(asking);
    CHECK(arrived == 1000);
}

TEST_CASE("task group: close waits for the last, and a group that is empty closes at once") {
    TestLoop loop;
    struct Closer {
        static Task<void> close(TaskGroup& group) { co_await group.close(); }
    };
    TaskGroup group;
    auto empty = Closer::close(group);
    CHECK(empty.done());
    loop.run(std::move(empty));
    for (int i = 1; i <= 3; ++i) group.start(sleep_until(now() + milliseconds(i)));
    CHECK(group.running() == 3);
    loop.run(Closer::close(group));
    CHECK(group.running() == 0);
}

TEST_CASE("frames: what is freed is used again, and every frame is counted") {
    auto before = frames_alive();
    auto* first = allocate_frame(100);
    auto* large = allocate_frame(100'000);
    CHECK(frames_alive() == before + 2);
    free_frame(first, 100);
    auto* again = allocate_frame(120);  // of the same size class
    CHECK(again == first);
    free_frame(again, 120);
    free_frame(large, 100'000);
    CHECK(frames_alive() == before);
}

TEST_CASE("ring: names below a directory open, links and ways out of it do not") {
    TestLoop loop;
    char form[] = "/tmp/entrepot-ring-XXXXXX";
    REQUIRE(::mkdtemp(form));
    std::string path = form;
    int directory = ::open(form, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct Opener {
        static Task<int> open(int directory, const char* name, std::uint32_t flags) {
            co_return co_await open_file(directory, name, flags, 0600);
        }
    };
    int made = loop.run(Opener::open(directory, "made", O_CREAT | O_RDWR));
    CHECK(made >= 0);
    ::close(made);
    REQUIRE(::symlink("made", (path + "/link").c_str()) == 0);
    CHECK(loop.run(Opener::open(directory, "link", O_RDONLY)) == -ELOOP);
    CHECK(loop.run(Opener::open(directory, "../etc/passwd", O_RDONLY)) == -EXDEV);
    CHECK(loop.run(Opener::open(directory, "/etc/passwd", O_RDONLY)) == -EXDEV);
    CHECK(loop.run(Opener::open(directory, "absent", O_RDONLY)) == -ENOENT);
    ::close(directory);
    ::unlink((path + "/link").c_str());
    ::unlink((path + "/made").c_str());
    ::rmdir(form);
}

TEST_CASE("ring: more requests than the queue has entries all complete") {
    auto options = TestLoop::small_ring();
    options.entries = 8;
    options.completions = 16;
    TestLoop loop(options);
    Pipe pipe;
    TaskGroup waiting;
    int done = 0;
    struct Poller {
        static Task<void> poll(int fd, int& done) {
            auto result = co_await poll_socket(fd, POLLIN, now() + seconds(20));
            if (result == POLLIN) ++done;
        }
    };
    for (int i = 0; i < 500; ++i) waiting.start(Poller::poll(pipe.ends[0], done));
    REQUIRE(::write(pipe.ends[1], "x", 1) == 1);
    loop.finish(waiting);
    CHECK(done == 500);
}

TEST_CASE("bulk: a turn takes a while of it, a small task waits for one piece and not for all") {
    TestLoop loop;
    struct Work {
        static Task<void> pieces(int count, std::vector<int>& order, int number) {
            for (int i = 0; i < count; ++i) {
                co_await BulkTurn{};
                order.push_back(number);
                for (auto until = now() + Loop::bulk_time; now() < until;) {}
            }
        }
        static Task<void> small(std::vector<int>& order) {
            co_await Breathe{};
            order.push_back(0);
        }
    };
    std::vector<int> order;
    TaskGroup tasks;
    for (int number : {1, 2, 3}) tasks.start(Work::pieces(2, order, number));
    loop->turn(Instant{0});
    CHECK(order == std::vector{1});  // one piece used the time up
    tasks.start(Work::small(order));
    loop->turn(Instant{0});
    CHECK(order == std::vector{1, 0, 2});
    loop.finish(tasks);
    CHECK(order == std::vector{1, 0, 2, 3, 1, 2, 3});
}

TEST_CASE("bulk: who keeps the turn goes on before other bulk work, after small tasks") {
    TestLoop loop;
    struct Work {
        static Task<void> halves(std::vector<int>& order, int number) {
            co_await BulkTurn{};
            order.push_back(number);
            for (auto until = now() + Loop::bulk_time; now() < until;) {}
            co_await SameBulkTurn{};
            order.push_back(number);
        }
        static Task<void> small(std::vector<int>& order) {
            co_await Breathe{};
            order.push_back(0);
        }
    };
    std::vector<int> order;
    TaskGroup tasks;
    for (int number : {1, 2}) tasks.start(Work::halves(order, number));
    loop->turn(Instant{0});
    CHECK(order == std::vector{1});
    tasks.start(Work::small(order));
    loop.finish(tasks);
    CHECK(order == std::vector{1, 0, 1, 2, 2});
}

TEST_CASE("bulk: pieces that cost nothing all run in one turn") {
    TestLoop loop;
    struct Work {
        static Task<void> piece(int& done) {
            co_await BulkTurn{};
            ++done;
        }
    };
    int done = 0;
    TaskGroup tasks;
    for (int i = 0; i < 100; ++i) tasks.start(Work::piece(done));
    loop->turn(Instant{0});
    CHECK(done > 1);
    loop.finish(tasks);
    CHECK(done == 100);
}

}  // namespace entrepot
