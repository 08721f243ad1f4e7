#include "entrepot/io/blocking.h"

#include "store/store_box.h"

#include <thread>

namespace entrepot {
namespace {

template <typename Function>
Task<int> blocking(Lane lane, Function& function) {
    co_return co_await run_blocking(lane, function);
}

}  // namespace

TEST_CASE("lanes: work runs on another thread and its result comes back here") {
    RunningLanes lanes;
    TestLoop loop;
    auto here = std::this_thread::get_id();
    auto elsewhere = [&] { return std::this_thread::get_id() != here ? 1 : 0; };
    CHECK(loop.run(blocking(Lane::ledger, elsewhere)) == 1);
    CHECK(loop.run(blocking(Lane::resolver, elsewhere)) == 1);
}

TEST_CASE("lanes: the ledger lane keeps the order in which jobs were given") {
    RunningLanes lanes;
    TestLoop loop;
    std::vector<int> order;
    struct Job {
        int operator()() {
            order->push_back(name);
            return name;
        }
        std::vector<int>* order;
        int name;
    };
    struct Runner {
        static Task<void> run(Job job) { (void)co_await run_blocking(Lane::ledger, job); }
    };
    TaskGroup jobs;
    for (int name = 0; name < 200; ++name) jobs.start(Runner::run(Job{&order, name}));
    loop.finish(jobs);
    std::vector<int> expected(200);
    for (int name = 0; name < 200; ++name) expected[static_cast<std::size_t>(name)] = name;
    CHECK(order == expected);
}

TEST_CASE("lanes: a slow job of the resolver lane does not hold the others, and stopping empties the queue") {
    TestLoop loop;
    std::atomic<bool> let_go{false};
    auto slow = [&] {
        while (!let_go) std::this_thread::yield();
        return 1;
    };
    auto quick = [] { return 2; };
    start_lanes();
    auto slowly = blocking(Lane::resolver, slow);
    CHECK(loop.run(blocking(Lane::resolver, quick)) == 2);
    CHECK_FALSE(slowly.done());
    auto last = blocking(Lane::ledger, quick);
    let_go = true;
    stop_lanes();  // both were given before
    CHECK(loop.run(std::move(slowly)) == 1);
    CHECK(loop.run(std::move(last)) == 2);
}

}  // namespace entrepot
