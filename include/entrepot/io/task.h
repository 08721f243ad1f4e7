#pragma once
// Task<T>: one flow, written top to bottom. It starts running when called (eager) and runs until its first true wait; awaiting a finished
// task does not suspend. Eager start is also what keeps g++ 12 from growing the stack with every completed await in a loop.
//
// Rules: a task belongs to the thread it was started on. It is never destroyed while suspended: whoever holds it awaits
// it, or hands it to a TaskGroup. Nothing throws through a task.

#include "entrepot/base/assert.h"
#include "entrepot/base/intrusive_list.h"
#include "entrepot/io/frame_pool.h"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace entrepot {

class TaskGroup;

/// What every promise has: who continues when the task ends, and where it stands (for the report of a failed ASSERT).
class PromiseBase : public ListLink {
  public:
    static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
    static void operator delete(void* frame, std::size_t bytes) noexcept { free_frame(frame, bytes); }

    PromiseBase() noexcept;
    ~PromiseBase() { unlink(); }

    std::suspend_never initial_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { std::terminate(); }

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <typename Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
            return self.promise().finish(self);
        }
        void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }

    /// Forwards to the awaitable where it stands. g++ 12 would move what await_transform returns, and most awaitables must not move.
    template <typename Awaitable>
    struct InPlace {
        Awaitable& awaitable;
        bool await_ready() const noexcept { return awaitable.await_ready(); }
        auto await_suspend(std::coroutine_handle<> waiter) const noexcept { return awaitable.await_suspend(waiter); }
        decltype(auto) await_resume() const noexcept { return awaitable.await_resume(); }
    };

    template <typename Awaitable>
    auto await_transform(Awaitable&& awaitable, int line = __builtin_LINE(),
                         const char* function = __builtin_FUNCTION()) noexcept {
        line_ = line;
        function_ = function;
        return InPlace<std::remove_reference_t<Awaitable>>{awaitable};
    }

    void continue_with(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
    void detach_into(TaskGroup& group) noexcept { group_ = &group; }
    int line() const noexcept { return line_; }
    const char* function() const noexcept { return function_; }

  private:
    std::coroutine_handle<> finish(std::coroutine_handle<> self) noexcept;

    std::coroutine_handle<> waiter_;
    TaskGroup* group_ = nullptr;
    const char* function_ = "";
    int line_ = 0;
};

/// Writes every live task of this thread to standard error: function and line of its current wait.
void print_live_tasks() noexcept;

template <typename T>
class [[nodiscard]] Task {
  public:
    struct promise_type : PromiseBase {
        std::optional<T> value;
        Task get_return_object() noexcept { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        void return_value(T result) noexcept { value.emplace(std::move(result)); }
    };

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (!handle_) return;
        ASSERT(handle_.done());
        handle_.destroy();
    }

    bool await_ready() const noexcept { return handle_.done(); }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { handle_.promise().continue_with(waiter); }
    T await_resume() noexcept { return std::move(*handle_.promise().value); }
    bool done() const noexcept { return handle_.done(); }

  private:
    explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

template <>
class [[nodiscard]] Task<void> {
  public:
    struct promise_type : PromiseBase {
        Task get_return_object() noexcept { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        void return_void() noexcept {}
    };

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (!handle_) return;
        ASSERT(handle_.done());
        handle_.destroy();
    }

    bool await_ready() const noexcept { return handle_.done(); }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { handle_.promise().continue_with(waiter); }
    void await_resume() noexcept {}
    bool done() const noexcept { return handle_.done(); }

  private:
    friend class TaskGroup;
    explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    std::coroutine_handle<promise_type> handle_;
};

/// Tasks that run on their own. close() waits until the last has ended; the destructor asserts that none is left.
class TaskGroup {
  public:
    TaskGroup() = default;
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;
    ~TaskGroup() { ASSERT(running_ == 0); }

    /// Takes the task over; it ends whenever it ends.
    void start(Task<void> task) noexcept;
    std::size_t running() const noexcept { return running_; }

    struct Closing {
        TaskGroup& group;
        bool await_ready() const noexcept { return group.running_ == 0; }
        void await_suspend(std::coroutine_handle<> waiter) noexcept {
            ASSERT(!group.closer_);
            group.closer_ = waiter;
        }
        void await_resume() const noexcept {}
    };
    /// Waits for every running task. Tasks that would not end on their own must have been told to before.
    Closing close() noexcept { return Closing{*this}; }

  private:
    friend class PromiseBase;
    void one_ended() noexcept;

    std::size_t running_ = 0;
    std::coroutine_handle<> closer_;
};

}  // namespace entrepot
