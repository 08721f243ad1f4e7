#pragma once
// What a task can wait for: kernel requests, time, another shard, blocking work, and other tasks of its shard.
// Results of kernel requests are >= 0 or -errno; a passed deadline is -ETIMEDOUT.

#include "entrepot/io/loop.h"
#include "entrepot/io/task.h"

#include <cerrno>
#include <coroutine>
#include <optional>
#include <span>

namespace entrepot {

/// One kernel request, awaited. Lives in the awaiting frame. Create it through the functions below, in the co_await expression.
class [[nodiscard]] Perform : private Operation, private Timer {
  public:
    explicit Perform(const Request& request, Instant deadline = Instant::never()) noexcept
        : Operation(&Perform::on_completed), Timer(&Perform::on_deadline), request_(request), deadline_(deadline) {}

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
        waiter_ = waiter;
        auto& loop = Loop::current();
        loop.ring().submit(*this, request_);
        if (deadline_ != Instant::never()) loop.timers().arm(*this, deadline_);
    }
    std::int32_t await_resume() const noexcept { return result_; }

  private:
    static void on_completed(Operation& operation, std::int32_t result, std::uint32_t, bool) noexcept;
    static void on_deadline(Timer& timer) noexcept;

    Request request_;
    Instant deadline_;
    std::coroutine_handle<> waiter_;
    std::int32_t result_ = 0;
    bool timed_out_ = false;
};

// Files. `buffer_index` is >= 0 when the span lies in the region given to Ring::register_buffers.
Perform read_file(int fd, MutableBytes into, std::uint64_t offset, int buffer_index = -1) noexcept;
Perform write_file(int fd, Bytes from, std::uint64_t offset, int buffer_index = -1) noexcept;
/// Opens beneath `directory`: no symbolic link anywhere, nothing above it (openat2 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS). O_CLOEXEC is added.
Perform open_file(int directory, const char* path, std::uint32_t flags, std::uint32_t mode = 0) noexcept;
Perform data_sync(int fd) noexcept;
Perform sync_file(int fd) noexcept;
/// Starts write-back of a range and returns; keeps dirty pages few, so that no writer is throttled later.
Perform start_write_back(int fd, std::uint64_t offset, std::uint32_t length) noexcept;
Perform allocate_file(int fd, std::uint64_t size) noexcept;
Perform rename_file(int from_directory, const char* from, int to_directory, const char* to, std::uint32_t flags) noexcept;
Perform unlink_file(int directory, const char* path) noexcept;
Perform make_directory(int directory, const char* path, std::uint32_t mode) noexcept;

// Sockets.
Perform connect_socket(int fd, const sockaddr* address, socklen_t length, Instant deadline) noexcept;
Perform receive_some(int fd, MutableBytes into, Instant deadline) noexcept;
/// Receives up to `count` bytes and forgets them inside the kernel: no copy, no memory (MSG_TRUNC, tcp(7)).
Perform discard_some(int fd, std::uint32_t count, Instant deadline) noexcept;
Perform send_some(int fd, Bytes from, int flags, Instant deadline) noexcept;
Perform poll_socket(int fd, std::uint32_t events, Instant deadline) noexcept;

/// Waits until an instant (or a span of time).
class [[nodiscard]] Sleep : private Timer {
  public:
    explicit Sleep(Instant until) noexcept : Timer(&Sleep::on_due), until_(until) {}
    explicit Sleep(Duration length) noexcept : Sleep(Loop::current().time() + length) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
        waiter_ = waiter;
        Loop::current().timers().arm(*this, until_);
    }
    void await_resume() const noexcept {}

  private:
    static void on_due(Timer& timer) noexcept;
    Instant until_;
    std::coroutine_handle<> waiter_;
};

/// Lets every other ready task run once. For loops that might never truly wait.
struct [[nodiscard]] Breathe {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { Loop::current().resume_later(waiter); }
    void await_resume() const noexcept {}
};

/// Waits for a turn among the bulk work of the shard (Loop::resume_in_bulk): before each piece of it.
struct [[nodiscard]] BulkTurn {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const { Loop::current().resume_in_bulk(waiter); }
    void await_resume() const noexcept {}
};

/// Ends a piece of bulk work in the middle and keeps the turn: what is left goes on before other bulk work does, but small tasks may pass.
/// For work that belongs together and is soon done: the others stand still meanwhile.
struct [[nodiscard]] SameBulkTurn {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) const { Loop::current().resume_first_in_bulk(waiter); }
    void await_resume() const noexcept {}
};

/// Tasks of one shard wait here for an event; notify_all() lets every one of them continue. `wait(deadline)` yields false when the deadline passed.
/// The world may have moved before a woken task runs: look again. The destructor asserts that nobody waits.
class Condition {
  public:
    class [[nodiscard]] Wait : public ListLink {
      public:
        Wait(Condition& condition, Instant deadline) noexcept : condition_(condition), deadline_(deadline), timer_(*this) {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter) noexcept;
        bool await_resume() const noexcept { return notified_; }
        /// Moves the deadline of a wait that is under way.
        void wait_until(Instant deadline) noexcept;

      private:
        friend class Condition;
        struct DeadlineTimer : Timer {
            explicit DeadlineTimer(Wait& wait) noexcept : Timer(&Wait::on_deadline), owner(wait) {}
            Wait& owner;
        };
        static void on_deadline(Timer& timer) noexcept;
        Condition& condition_;
        Instant deadline_;
        DeadlineTimer timer_;
        std::coroutine_handle<> waiter_;
        bool notified_ = false;
    };

    Wait wait(Instant deadline = Instant::never()) noexcept { return Wait(*this, deadline); }
    void notify_all() noexcept;
    bool notify_one() noexcept;
    bool has_waiters() noexcept { return !waiting_.empty(); }

  private:
    IntrusiveList<Wait> waiting_;
};

/// At most `slots` tasks hold a slot; the rest wait in order. The queue itself is bounded: acquire() yields false at once when `waiters_max` wait already,
/// or when the deadline passes.
class Semaphore {
  public:
    Semaphore(std::size_t slots, std::size_t waiters_max) noexcept : free_(slots), waiters_max_(waiters_max) {}
    Task<bool> acquire(Instant deadline);
    bool try_acquire() noexcept;
    void release() noexcept;
    std::size_t waiting() const noexcept { return waiters_; }

  private:
    std::size_t free_, waiters_max_, waiters_ = 0;
    Condition freed_;
};

/// Runs `function()` on another loop's thread and yields its result here: `auto x = co_await call_on(loop, function);`. The function is a named
/// object that outlives the wait, must not suspend, and touches only what that loop owns.
template <typename Function>
class [[nodiscard]] CallOn : private Message {
  public:
    using Value = decltype(std::declval<Function&>()());

    CallOn(Loop& target, Function& function) noexcept : target_(target), function_(function) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
        waiter_ = waiter;
        origin_ = &Loop::current();
        run = &CallOn::on_target;
        target_.post(*this);
    }
    Value await_resume() noexcept { return std::move(*value_); }

  private:
    static void on_target(Message& message) noexcept {
        auto& call = static_cast<CallOn&>(message);
        call.value_.emplace(call.function_());
        call.run = &CallOn::on_origin;
        call.origin_->post(call);
    }
    static void on_origin(Message& message) noexcept {
        auto& call = static_cast<CallOn&>(message);
        call.origin_->resume_later(call.waiter_);
    }

    Loop& target_;
    Function& function_;
    Loop* origin_ = nullptr;
    std::coroutine_handle<> waiter_;
    std::optional<Value> value_;
};

template <typename Function>
CallOn<Function> call_on(Loop& target, Function& function) noexcept {
    return CallOn<Function>(target, function);
}

/// What awaiting a task without a result yields across shards.
struct Nothing {};

/// Starts the task that `function()` returns on another loop, and yields its result here once it ended there.
template <typename Function>
class [[nodiscard]] RunOn : private Message {
  public:
    using Awaited = decltype(std::declval<Function&>()().await_resume());
    using Value = std::conditional_t<std::is_void_v<Awaited>, Nothing, Awaited>;

    RunOn(Loop& target, Function& function) noexcept : target_(target), function_(function) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
        waiter_ = waiter;
        origin_ = &Loop::current();
        run = &RunOn::on_target;
        target_.post(*this);
    }
    Value await_resume() noexcept { return std::move(*value_); }

  private:
    static void on_target(Message& message) noexcept {
        auto& call = static_cast<RunOn&>(message);
        call.remote_.start(carry(call));
    }
    static Task<void> carry(RunOn& call) {
        auto task = call.function_();
        if constexpr (std::is_void_v<Awaited>) {
            co_await task;
            call.value_.emplace();
        } else {
            call.value_.emplace(co_await task);
        }
        call.run = &RunOn::on_target_done;
        // Our own frame is still counted in remote_: hop once through the target's own queue so that it ends first.
        Loop::current().post(call);
    }
    static void on_target_done(Message& message) noexcept {
        auto& call = static_cast<RunOn&>(message);
        ASSERT(call.remote_.running() == 0);
        call.run = &RunOn::on_origin;
        call.origin_->post(call);
    }
    static void on_origin(Message& message) noexcept {
        auto& call = static_cast<RunOn&>(message);
        call.origin_->resume_later(call.waiter_);
    }

    Loop& target_;
    Function& function_;
    Loop* origin_ = nullptr;
    std::coroutine_handle<> waiter_;
    std::optional<Value> value_;
    TaskGroup remote_;
};

template <typename Function>
RunOn<Function> run_on(Loop& target, Function& function) noexcept {
    return RunOn<Function>(target, function);
}

}  // namespace entrepot
