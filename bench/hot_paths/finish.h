#pragma once
// Preparations wait for disks and other threads: turns a loop until a task has ended. It sleeps between turns instead of waiting in the ring, because valgrind
// runs one thread at a time and does not let another in while one is inside io_uring_enter.

#include "entrepot/io/loop.h"
#include "entrepot/io/task.h"

#include <chrono>
#include <thread>

namespace entrepot::bench {

template <typename Ended>
void turn_until(Loop& loop, Ended ended) {
    while (!ended()) {
        if (!loop.turn(now())) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

template <typename T>
T finish(Loop& loop, const Task<T>& task) {
    turn_until(loop, [&task] { return task.done(); });
    return const_cast<Task<T>&>(task).await_resume();
}

}  // namespace entrepot::bench
