#include "entrepot/io/await.h"

#include <fcntl.h>

namespace entrepot {

void Perform::on_completed(Operation& operation, std::int32_t result, std::uint32_t, bool) noexcept {
    auto& self = static_cast<Perform&>(operation);
    auto& loop = Loop::current();
    loop.timers().disarm(self);
    // A result that came before the cancel counts: no byte is ever dropped.
    self.result_ = self.timed_out_ && (result == -ECANCELED || result == -EINTR) ? -ETIMEDOUT : result;
    loop.resume_later(self.waiter_);
}

void Perform::on_deadline(Timer& timer) noexcept {
    auto& self = static_cast<Perform&>(timer);
    self.timed_out_ = true;
    Loop::current().ring().cancel(self);
}

Perform read_file(int fd, MutableBytes into, std::uint64_t offset, int buffer_index) noexcept {
    Request request;
    request.kind = Request::Kind::read;
    request.fd = fd;
    request.address = into.data();
    request.length = static_cast<std::uint32_t>(into.size());
    request.offset = offset;
    request.buffer_index = static_cast<std::int16_t>(buffer_index);
    return Perform(request);
}

Perform write_file(int fd, Bytes from, std::uint64_t offset, int buffer_index) noexcept {
    Request request;
    request.kind = Request::Kind::write;
    request.fd = fd;
    request.address = const_cast<std::byte*>(from.data());
    request.length = static_cast<std::uint32_t>(from.size());
    request.offset = offset;
    request.buffer_index = static_cast<std::int16_t>(buffer_index);
    return Perform(request);
}

Perform open_file(int directory, const char* path, std::uint32_t flags, std::uint32_t mode) noexcept {
    Request request;
    request.kind = Request::Kind::open;
    request.fd = directory;
    request.path = path;
    request.flags = flags | O_CLOEXEC;
    request.mode = mode;
    return Perform(request);
}

Perform data_sync(int fd) noexcept {
    Request request;
    request.kind = Request::Kind::data_sync;
    request.fd = fd;
    return Perform(request);
}

Perform sync_file(int fd) noexcept {
    Request request;
    request.kind = Request::Kind::sync;
    request.fd = fd;
    return Perform(request);
}

Perform start_write_back(int fd, std::uint64_t offset, std::uint32_t length) noexcept {
    Request request;
    request.kind = Request::Kind::sync_range;
    request.fd = fd;
    request.offset = offset;
    request.length = length;
    return Perform(request);
}

Perform allocate_file(int fd, std::uint64_t size) noexcept {
    Request request;
    request.kind = Request::Kind::allocate;
    request.fd = fd;
    request.size = size;
    return Perform(request);
}

Perform rename_file(int from_directory, const char* from, int to_directory, const char* to, std::uint32_t flags) noexcept {
    Request request;
    request.kind = Request::Kind::rename;
    request.fd = from_directory;
    request.path = from;
    request.other_fd = to_directory;
    request.other_path = to;
    request.flags = flags;
    return Perform(request);
}

Perform unlink_file(int directory, const char* path) noexcept {
    Request request;
    request.kind = Request::Kind::unlink;
    request.fd = directory;
    request.path = path;
    return Perform(request);
}

Perform make_directory(int directory, const char* path, std::uint32_t mode) noexcept {
    Request request;
    request.kind = Request::Kind::make_directory;
    request.fd = directory;
    request.path = path;
    request.mode = mode;
    return Perform(request);
}

Perform connect_socket(int fd, const sockaddr* address, socklen_t length, Instant deadline) noexcept {
    Request request;
    request.kind = Request::Kind::connect;
    request.fd = fd;
    request.address = const_cast<sockaddr*>(address);
    request.length = length;
    return Perform(request, deadline);
}

Perform receive_some(int fd, MutableBytes into, Instant deadline) noexcept {
    Request request;
    request.kind = Request::Kind::receive;
    request.fd = fd;
    request.address = into.data();
    request.length = static_cast<std::uint32_t>(into.size());
    return Perform(request, deadline);
}

Perform discard_some(int fd, std::uint32_t count, Instant deadline) noexcept {
    Request request;
    request.kind = Request::Kind::receive;
    request.fd = fd;
    request.length = count;
    request.flags = MSG_TRUNC;
    return Perform(request, deadline);
}

Perform send_some(int fd, Bytes from, int flags, Instant deadline) noexcept {
    Request request;
    request.kind = Request::Kind::send;
    request.fd = fd;
    request.address = const_cast<std::byte*>(from.data());
    request.length = static_cast<std::uint32_t>(from.size());
    request.flags = static_cast<std::uint32_t>(flags);
    return Perform(request, deadline);
}

Perform poll_socket(int fd, std::uint32_t events, Instant deadline) noexcept {
    Request request;
    request.kind = Request::Kind::poll;
    request.fd = fd;
    request.flags = events;
    return Perform(request, deadline);
}

void Sleep::on_due(Timer& timer) noexcept { Loop::current().resume_later(static_cast<Sleep&>(timer).waiter_); }

void Condition::Wait::await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    condition_.waiting_.push_back(*this);
    if (deadline_ != Instant::never()) Loop::current().timers().arm(timer_, deadline_);
}

void Condition::Wait::wait_until(Instant deadline) noexcept {
    if (linked()) Loop::current().timers().arm(timer_, deadline);
}

void Condition::Wait::on_deadline(Timer& timer) noexcept {
    auto& self = static_cast<DeadlineTimer&>(timer).owner;
    self.unlink();
    Loop::current().resume_later(self.waiter_);
}

bool Condition::notify_one() noexcept {
    Wait* wait = waiting_.pop_front();
    if (!wait) return false;
    auto& loop = Loop::current();
    loop.timers().disarm(wait->timer_);
    wait->notified_ = true;
    loop.resume_later(wait->waiter_);
    return true;
}

void Condition::notify_all() noexcept {
    while (notify_one()) {}
}

Task<bool> Semaphore::acquire(Instant deadline) {
    if (try_acquire()) co_return true;
    if (waiters_ >= waiters_max_) co_return false;
    ++waiters_;
    // A slot is handed over by release(), so a late comer cannot overtake.
    bool handed_over = co_await freed_.wait(deadline);
    --waiters_;
    co_return handed_over;
}

bool Semaphore::try_acquire() noexcept {
    if (free_ == 0) return false;
    --free_;
    return true;
}

void Semaphore::release() noexcept {
    if (!freed_.notify_one()) ++free_;
}

}  // namespace entrepot
