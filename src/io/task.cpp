#include "entrepot/io/task.h"

#include "entrepot/io/loop.h"

#include <cstdio>
#include <new>

namespace entrepot {
namespace {

// Never destroyed: tasks may end later than thread-local objects would.
IntrusiveList<PromiseBase>& live_tasks() {
    using List = IntrusiveList<PromiseBase>;
    alignas(List) thread_local std::byte storage[sizeof(List)];
    thread_local auto* list = new (storage) List;
    return *list;
}

}  // namespace

PromiseBase::PromiseBase() noexcept { live_tasks().push_back(*this); }

std::coroutine_handle<> PromiseBase::finish(std::coroutine_handle<> self) noexcept {
    if (waiter_) return waiter_;
    if (TaskGroup* group = group_) {
        self.destroy();
        group->one_ended();
    }
    return std::noop_coroutine();
}

void TaskGroup::start(Task<void> task) noexcept {
    if (task.done()) return;
    ++running_;
    task.handle_.promise().detach_into(*this);
    task.handle_ = {};
}

void TaskGroup::one_ended() noexcept {
    ASSERT(running_ > 0);
    if (--running_ == 0 && closer_) Loop::current().resume_later(std::exchange(closer_, {}));
}

void print_live_tasks() noexcept {
    constexpr int printed_max = 64;
    int printed = 0;
    auto& tasks = live_tasks();
    for (auto* promise = tasks.front(); promise && printed < printed_max; promise = tasks.after(*promise), ++printed) {
        std::fprintf(stderr, "  task waits in %s, line %d\n", promise->function(), promise->line());
    }
}

}  // namespace entrepot
