// The one file that includes <liburing.h>: Ring as io_uring and system calls.

#include "entrepot/io/ring.h"
#include "entrepot/io/directory.h"

#include "io/ring_refusal.h"

#include "entrepot/base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

namespace entrepot {
namespace {

// Not in Debian 12's headers (kernel 6.1); numbers are the kernel's ABI.
constexpr long nr_cachestat = 451;  // since 6.5
struct CachestatRange {
    std::uint64_t offset, length;
};
struct Cachestat {
    std::uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

constexpr std::uint64_t page_bytes = 4096;
constexpr std::uint64_t probe_step_bytes = 128 * KiB;  // of resident(): read-ahead comes in longer pieces
constexpr int provided_group = 0;
constexpr std::uint64_t wake_mark = 1;    // user_data of the doorbell's read
constexpr std::uint64_t cancel_mark = 2;  // user_data of cancel requests, whose own result says nothing

// openat2's argument must stay valid until submission: one per request kind is enough because it never changes besides flags and mode,
// so each SQE of kind open gets its own slot here until the queue was flushed.
constexpr std::uint64_t resolve_beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

/// All that any ring of ours may ask for, and whether it names or changes files.
struct Allowed {
    std::uint8_t operation;
    std::string_view name;
    bool files;
};
constexpr Allowed allow_list[] = {
    {IORING_OP_ACCEPT, "accept", false},       {IORING_OP_RECV, "recv", false},
    {IORING_OP_SEND, "send", false},           {IORING_OP_CONNECT, "connect", false},
    {IORING_OP_POLL_ADD, "poll", false},       {IORING_OP_READ, "read", false},
    {IORING_OP_ASYNC_CANCEL, "cancel", false}, {IORING_OP_NOP, "nop", false},
    {IORING_OP_WRITE, "write", true},          {IORING_OP_READ_FIXED, "read into registered buffers", true},
    {IORING_OP_OPENAT2, "openat2", true},      {IORING_OP_WRITE_FIXED, "write from registered buffers", true},
    {IORING_OP_FSYNC, "fsync", true},          {IORING_OP_SYNC_FILE_RANGE, "sync_file_range", true},
    {IORING_OP_FALLOCATE, "fallocate", true},  {IORING_OP_RENAMEAT, "renameat", true},
    {IORING_OP_UNLINKAT, "unlinkat", true},    {IORING_OP_MKDIRAT, "mkdirat", true}};

int register_call(int ring, unsigned opcode, const void* argument, unsigned count) {
    return syscall(__NR_io_uring_register, ring, opcode, argument, count) < 0 ? -errno : 0;
}

std::string kernel_release() {
    utsname system{};
    return ::uname(&system) == 0 ? system.release : "?";
}

std::string refused(RingStep step, int error) { return explain_refusal(step, error, kernel_release()); }

/// Whether this kernel knows every operation of the list: a vendor's may be built without some.
Result<void, std::string> probe_operations(int ring) {
    constexpr unsigned asked = 256;
    alignas(io_uring_probe) std::array<std::byte, sizeof(io_uring_probe) + asked * sizeof(io_uring_probe_op)> space{};
    auto* probe = reinterpret_cast<io_uring_probe*>(space.data());
    if (int error = register_call(ring, IORING_REGISTER_PROBE, probe, asked); error < 0) return refused(RingStep::probe, -error);
    std::vector<std::string_view> missing;
    for (auto& entry : allow_list) {
        bool known = entry.operation < probe->ops_len && (probe->ops[entry.operation].flags & IO_URING_OP_SUPPORTED);
        if (!known) missing.push_back(entry.name);
    }
    if (!missing.empty()) return explain_missing(missing, kernel_release());
    return {};
}

/// The in-kernel allow-list of this ring: a request we never make is refused even if memory corruption tried to make it. Debian 12's shared
/// liburing 2.3 declares the helper but does not export it, hence the raw call.
int restrict_ring(int ring, bool files) {
    constexpr std::uint8_t registrations[] = {
        IORING_REGISTER_BUFFERS,      IORING_UNREGISTER_BUFFERS,        IORING_REGISTER_PBUF_RING, IORING_UNREGISTER_PBUF_RING,
        IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_IOWQ_MAX_WORKERS, IORING_REGISTER_RING_FDS,  IORING_UNREGISTER_RING_FDS};
    std::vector<io_uring_restriction> list;
    auto add = [&list](std::uint16_t kind, std::uint8_t value) {
        io_uring_restriction entry{};
        entry.opcode = kind;
        entry.sqe_op = value;
        list.push_back(entry);
    };
    for (auto& entry : allow_list) {
        if (files || !entry.files) add(IORING_RESTRICTION_SQE_OP, entry.operation);
    }
    for (auto registration : registrations) add(IORING_RESTRICTION_REGISTER_OP, registration);
    add(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, IOSQE_BUFFER_SELECT | IOSQE_ASYNC);
    return register_call(ring, IORING_REGISTER_RESTRICTIONS, list.data(), static_cast<unsigned>(list.size()));
}

void say_once_unrestricted(int error) {
    static std::atomic_flag said;
    if (said.test_and_set()) return;
    log_warning("the kernel takes no allow-list for io_uring ({}): everything works, but without this second line of defence",
                std::strerror(error));
}

class UringRing final : public Ring {
  public:
    explicit UringRing(const Options& options) : options_(options) {}
    ~UringRing() override;
    Result<void, std::string> start();

    void submit(Operation& operation, const Request& request) override;
    void cancel(Operation& operation) override;
    unsigned reap(Instant until) override;
    void flush_file_requests() override;
    void wake() noexcept override;
    std::size_t in_flight() const noexcept override { return in_flight_; }
    std::byte* provided_buffer(std::uint32_t flags) noexcept override;
    void give_back(std::uint32_t flags) noexcept override;
    bool register_buffers(MutableBytes region) override;
    int socket(int family, int type) override;
    int bind_and_listen(int fd, const sockaddr* address, socklen_t length, int backlog) override;
    int bind(int fd, const sockaddr* address, socklen_t length) override;
    int set_option(int fd, int level, int name, const void* value, socklen_t length) override;
    int get_option(int fd, int level, int name, void* value, socklen_t* length) override;
    int local_address(int fd, sockaddr* address, socklen_t* length) override;
    int peer_address(int fd, sockaddr* address, socklen_t* length) override;
    std::int64_t send_now(int fd, Bytes head, Bytes body, int flags) override;
    std::int64_t receive_now(int fd, MutableBytes into, int flags) override;
    std::int64_t send_file_now(int fd, int file, std::uint64_t offset, std::size_t length) override;
    bool resident(int file, std::uint64_t offset, std::uint64_t length, bool closely) override;
    int shutdown(int fd, int how) override;
    int status(int fd, struct ::stat& into) override;
    void close(int fd) override;

  private:
    struct Queued {
        std::uint64_t user_data;
        bool is_cancel;
        Request request;
    };
    bool place(const Queued& queued);
    void queue(const Queued& queued);
    void prepare(io_uring_sqe* entry, const Request& request);
    void prepare_file(io_uring_sqe* entry, const Request& request);
    void arm_doorbell();
    void flush();
    void complete(const io_uring_cqe& completion);
    bool others_may_deny(Request::Kind kind) const noexcept;
    void note_refusal(Request::Kind kind) noexcept;
    Result<void, std::string> provide_buffers();

    Options options_;
    io_uring ring_{};
    bool ring_open_ = false;
    io_uring_buf_ring* buffer_ring_ = nullptr;
    std::size_t buffer_ring_bytes_ = 0;
    std::byte* buffers_ = nullptr;
    int doorbell_ = -1;
    std::uint64_t doorbell_count_ = 0;
    std::size_t in_flight_ = 0;
    bool file_requests_queued_ = false;
    std::vector<open_how> open_hows_;  // one per queued SQE slot; the kernel copies it at submission
    std::deque<Queued>
        held_back_;  // what the full queue could not take while the kernel was busy; bounded by the operations alive
    Request doorbell_request_;
    bool cachestat_works_ = true;
};

UringRing::~UringRing() {
    ASSERT(in_flight_ == 0);
    if (ring_open_) io_uring_queue_exit(&ring_);
    if (buffers_) ::munmap(buffers_, std::size_t{options_.provided_buffers} * options_.provided_buffer_bytes);
    if (buffer_ring_) ::munmap(buffer_ring_, buffer_ring_bytes_);
    if (doorbell_ >= 0) ::close(doorbell_);
}

Result<void, std::string> UringRing::start() {
    io_uring_params parameters{};
    // R_DISABLED until the restrictions are in place; SINGLE_ISSUER then belongs to the thread that enables, which is this one.
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                       IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
    parameters.cq_entries = options_.completions;
    if (int error = io_uring_queue_init_params(options_.entries, &ring_, &parameters); error < 0)
        return refused(RingStep::setup, -error);
    ring_open_ = true;
    open_hows_.resize(parameters.sq_entries);
    auto known = probe_operations(ring_.ring_fd);
    if (!known) return known;
    if (int error = restrict_ring(ring_.ring_fd, options_.files); error < 0) say_once_unrestricted(-error);
    if (int error = register_call(ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); error < 0)
        return refused(RingStep::enable, -error);
    unsigned workers[2] = {options_.workers_max, options_.workers_max};
    io_uring_register_iowq_max_workers(&ring_, workers);
    io_uring_register_ring_fd(&ring_);
    doorbell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (doorbell_ < 0) return fmt::format("eventfd failed: {}", std::strerror(errno));
    arm_doorbell();
    if (int submitted = io_uring_submit(&ring_); submitted < 0) return refused(RingStep::enter, -submitted);
    return provide_buffers();
}

Result<void, std::string> UringRing::provide_buffers() {
    unsigned count = options_.provided_buffers;
    buffer_ring_bytes_ = std::size_t{count} * sizeof(io_uring_buf);
    void* ring_memory = ::mmap(nullptr, buffer_ring_bytes_, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    void* memory = ::mmap(nullptr, std::size_t{count} * options_.provided_buffer_bytes, PROT_READ | PROT_WRITE,
                          MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (ring_memory == MAP_FAILED || memory == MAP_FAILED) return std::string("out of memory for receive buffers");
    buffer_ring_ = static_cast<io_uring_buf_ring*>(ring_memory);
    buffers_ = static_cast<std::byte*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(buffer_ring_);
    registration.ring_entries = count;
    registration.bgid = provided_group;
    if (int error = io_uring_register_buf_ring(&ring_, &registration, 0); error < 0)
        return refused(RingStep::receive_buffers, -error);
    io_uring_buf_ring_init(buffer_ring_);
    for (unsigned id = 0; id < count; ++id) {
        io_uring_buf_ring_add(buffer_ring_, buffers_ + std::size_t{id} * options_.provided_buffer_bytes,
                              options_.provided_buffer_bytes, static_cast<unsigned short>(id), io_uring_buf_ring_mask(count),
                              static_cast<int>(id));
    }
    io_uring_buf_ring_advance(buffer_ring_, static_cast<int>(count));
    return {};
}

void UringRing::arm_doorbell() {
    doorbell_request_.kind = Request::Kind::read;
    doorbell_request_.fd = doorbell_;
    doorbell_request_.address = &doorbell_count_;
    doorbell_request_.length = sizeof doorbell_count_;
    queue({wake_mark, false, doorbell_request_});
    file_requests_queued_ = false;
}

bool UringRing::place(const Queued& queued) {
    auto* entry = io_uring_get_sqe(&ring_);
    if (!entry) return false;
    if (queued.is_cancel) {
        io_uring_prep_cancel64(entry, queued.user_data, 0);
        entry->user_data = cancel_mark;
    } else {
        prepare(entry, queued.request);
        entry->user_data = queued.user_data;
    }
    return true;
}

void UringRing::queue(const Queued& queued) {
    if (held_back_.empty()) {
        if (place(queued)) return;
        flush();
        if (place(queued)) return;
    }
    held_back_.push_back(queued);
}

void UringRing::flush() {
    file_requests_queued_ = false;
    for (int attempt = 0; attempt < 2 && io_uring_sq_ready(&ring_) > 0; ++attempt) {
        int submitted = io_uring_submit(&ring_);
        // EINTR loses nothing. EAGAIN and EBUSY: the kernel lacks memory, or the completion queue is full until the next reap().
        ASSERT(submitted >= 0 || submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY);
    }
}

void UringRing::flush_file_requests() {
    if (file_requests_queued_) flush();
}

void UringRing::submit(Operation& operation, const Request& request) {
    operation.submitted(request.kind);
    ++in_flight_;
    queue({reinterpret_cast<std::uint64_t>(&operation), false, request});
}

void UringRing::prepare(io_uring_sqe* entry, const Request& request) {
    switch (request.kind) {
        case Request::Kind::accept:
            io_uring_prep_multishot_accept(entry, request.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            return;
        case Request::Kind::receive_many:
            io_uring_prep_recv_multishot(entry, request.fd, nullptr, 0, 0);
            entry->flags |= IOSQE_BUFFER_SELECT;
            entry->buf_group = provided_group;
            return;
        case Request::Kind::receive:
            io_uring_prep_recv(entry, request.fd, request.address, request.length, static_cast<int>(request.flags));
            return;
        case Request::Kind::send:
            io_uring_prep_send(entry, request.fd, request.address, request.length,
                               static_cast<int>(request.flags) | MSG_NOSIGNAL);
            return;
        case Request::Kind::connect:
            io_uring_prep_connect(entry, request.fd, static_cast<const sockaddr*>(request.address), request.length);
            return;
        case Request::Kind::poll: io_uring_prep_poll_add(entry, request.fd, request.flags); return;
        default: prepare_file(entry, request);
    }
}

void UringRing::prepare_file(io_uring_sqe* entry, const Request& request) {
    file_requests_queued_ = true;
    switch (request.kind) {
        case Request::Kind::read:
            io_uring_prep_read(entry, request.fd, request.address, request.length, request.offset);
            if (request.buffer_index >= 0) {
                entry->opcode = IORING_OP_READ_FIXED;
                entry->buf_index = static_cast<std::uint16_t>(request.buffer_index);
            }
            return;
        case Request::Kind::write:
            io_uring_prep_write(entry, request.fd, request.address, request.length, request.offset);
            if (request.buffer_index >= 0) {
                entry->opcode = IORING_OP_WRITE_FIXED;
                entry->buf_index = static_cast<std::uint16_t>(request.buffer_index);
            }
            return;
        case Request::Kind::open: {
            auto& how = open_hows_[static_cast<std::size_t>(entry - ring_.sq.sqes) % open_hows_.size()];
            how = {};
            how.flags = request.flags;
            how.mode = (request.flags & (O_CREAT | O_TMPFILE)) ? request.mode : 0;
            how.resolve = resolve_beneath;
            io_uring_prep_openat2(entry, request.fd, request.path, &how);
            return;
        }
        case Request::Kind::data_sync: io_uring_prep_fsync(entry, request.fd, IORING_FSYNC_DATASYNC); return;
        case Request::Kind::sync: io_uring_prep_fsync(entry, request.fd, 0); return;
        case Request::Kind::sync_range:
            io_uring_prep_sync_file_range(entry, request.fd, request.length, request.offset, SYNC_FILE_RANGE_WRITE);
            return;
        case Request::Kind::allocate:
            io_uring_prep_fallocate(entry, request.fd, 0, static_cast<off_t>(request.offset), static_cast<off_t>(request.size));
            return;
        case Request::Kind::rename:
            io_uring_prep_renameat(entry, request.fd, request.path, request.other_fd, request.other_path, request.flags);
            return;
        case Request::Kind::unlink: io_uring_prep_unlinkat(entry, request.fd, request.path, 0); return;
        case Request::Kind::make_directory: io_uring_prep_mkdirat(entry, request.fd, request.path, request.mode); return;
        default: ASSERT(!"a request kind without a preparation");
    }
}

void UringRing::cancel(Operation& operation) {
    if (!operation.in_flight()) return;
    queue({reinterpret_cast<std::uint64_t>(&operation), true, {}});
}

unsigned UringRing::reap(Instant until) {
    // Submitting and waiting is one system call. Without a wait the call still lets deferred task work run (DEFER_TASKRUN).
    file_requests_queued_ = false;
    io_uring_cqe* first = nullptr;
    Duration wait = until == Instant::never() ? Duration::max() : until - now();
    int result = 0;
    if (wait <= Duration::zero()) {
        result = io_uring_submit_and_get_events(&ring_);
    } else if (wait == Duration::max()) {
        result = io_uring_submit_and_wait(&ring_, 1);
    } else {
        __kernel_timespec timeout{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
        result = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
    }
    ASSERT(result >= 0 || result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY);

    unsigned count = 0;
    unsigned head = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring_, head, completion) {
        complete(*completion);
        ++count;
    }
    io_uring_cq_advance(&ring_, count);
    while (!held_back_.empty() && place(held_back_.front())) held_back_.pop_front();
    return count;
}

void UringRing::complete(const io_uring_cqe& completion) {
    if (completion.user_data == cancel_mark) return;
    if (completion.user_data == wake_mark) return arm_doorbell();
    bool more = completion.flags & IORING_CQE_F_MORE;
    if (!more) --in_flight_;
    auto& operation = *reinterpret_cast<Operation*>(completion.user_data);
    if (completion.res == -EACCES && !others_may_deny(operation.kind())) note_refusal(operation.kind());
    operation.complete(completion.res, completion.flags, more);
}

/// Whose EACCES may be the word of a file's mode or of a firewall rather than of the ring.
bool UringRing::others_may_deny(Request::Kind kind) const noexcept {
    using Kind = Request::Kind;
    if (kind == Kind::connect) return true;
    return options_.files && (kind == Kind::open || kind == Kind::rename || kind == Kind::unlink || kind == Kind::make_directory);
}

void UringRing::note_refusal(Request::Kind kind) noexcept {
    if (refusals.fetch_add(1, std::memory_order_relaxed) > 0) return;
    constexpr std::string_view names[] = {"accept",   "receive_many", "receive", "send",          "connect", "poll",
                                          "read",     "write",        "open",    "data_sync",     "sync",    "sync_range",
                                          "allocate", "rename",       "unlink",  "make_directory"};
    static_assert(std::size(names) == static_cast<std::size_t>(Request::Kind::make_directory) + 1);
    log_error(
        "internal error: the kernel refuses a request that this ring's allow-list does not hold ({}); "
        "entrepot_ring_refusals_total counts them; please report it",
        names[static_cast<std::size_t>(kind)]);
}

void UringRing::wake() noexcept {
    std::uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(doorbell_, &one, sizeof one);
}

std::byte* UringRing::provided_buffer(std::uint32_t flags) noexcept {
    ASSERT(flags & IORING_CQE_F_BUFFER);
    return buffers_ + std::size_t{flags >> IORING_CQE_BUFFER_SHIFT} * options_.provided_buffer_bytes;
}

void UringRing::give_back(std::uint32_t flags) noexcept {
    auto id = static_cast<unsigned short>(flags >> IORING_CQE_BUFFER_SHIFT);
    io_uring_buf_ring_add(buffer_ring_, provided_buffer(flags), options_.provided_buffer_bytes, id,
                          io_uring_buf_ring_mask(options_.provided_buffers), 0);
    io_uring_buf_ring_advance(buffer_ring_, 1);
}

bool UringRing::register_buffers(MutableBytes region) {
    iovec one{region.data(), region.size()};
    int error = io_uring_register_buffers(&ring_, &one, 1);
    if (error == 0) return true;
    static std::atomic_flag said;
    if (!said.test_and_set()) {
        log_warning(
            "buffers are not registered with io_uring ({}): fills cost a little more; raise LimitMEMLOCK (ulimit -l) to {} MiB per shard",
            std::strerror(-error), region.size() / MiB + 1);
    }
    return false;
}

int UringRing::socket(int family, int type) {
    int fd = ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

int UringRing::bind_and_listen(int fd, const sockaddr* address, socklen_t length, int backlog) {
    int one = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (::bind(fd, address, length) < 0) return -errno;
    return ::listen(fd, backlog) < 0 ? -errno : 0;
}

int UringRing::bind(int fd, const sockaddr* address, socklen_t length) {
    int one = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return ::bind(fd, address, length) < 0 ? -errno : 0;
}

int UringRing::set_option(int fd, int level, int name, const void* value, socklen_t length) {
    return ::setsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

int UringRing::get_option(int fd, int level, int name, void* value, socklen_t* length) {
    return ::getsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

int UringRing::local_address(int fd, sockaddr* address, socklen_t* length) {
    return ::getsockname(fd, address, length) < 0 ? -errno : 0;
}

int UringRing::peer_address(int fd, sockaddr* address, socklen_t* length) {
    return ::getpeername(fd, address, length) < 0 ? -errno : 0;
}

std::int64_t UringRing::send_now(int fd, Bytes head, Bytes body, int flags) {
    flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
    if (body.empty()) {
        auto sent = ::send(fd, head.data(), head.size(), flags);
        return sent < 0 ? -errno : sent;
    }
    iovec pieces[2] = {{const_cast<std::byte*>(head.data()), head.size()}, {const_cast<std::byte*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    auto sent = ::sendmsg(fd, &message, flags);
    return sent < 0 ? -errno : sent;
}

std::int64_t UringRing::receive_now(int fd, MutableBytes into, int flags) {
    auto received = ::recv(fd, into.data(), into.size(), flags | MSG_DONTWAIT);
    return received < 0 ? -errno : received;
}

std::int64_t UringRing::send_file_now(int fd, int file, std::uint64_t offset, std::size_t length) {
    auto position = static_cast<off_t>(offset);
    auto sent = ::sendfile(fd, file, &position, length);
    return sent < 0 ? -errno : sent;
}

bool UringRing::resident(int file, std::uint64_t offset, std::uint64_t length, bool closely) {
    if (length == 0) return true;
    if (cachestat_works_) {
        CachestatRange range{offset, length};
        Cachestat found{};
        bool counted = syscall(nr_cachestat, file, &range, &found, 0u) == 0;
        std::uint64_t pages = (offset + length + page_bytes - 1) / page_bytes - offset / page_bytes;
        if (counted && found.cached < pages) return false;
        if (counted && !closely) return true;
        if (!counted && errno != ENOSYS && errno != EPERM) return false;
        cachestat_works_ = counted;
    }
    auto ready = [file](std::uint64_t at) {
        std::byte probe{};
        iovec one{&probe, 1};
        return ::preadv2(file, &one, 1, static_cast<off_t>(at), RWF_NOWAIT) == 1;
    };
    for (auto at = offset; at < offset + length; at += probe_step_bytes) {
        if (!ready(at)) return false;
    }
    return ready(offset + length - 1);
}

int UringRing::shutdown(int fd, int how) { return ::shutdown(fd, how) < 0 ? -errno : 0; }

int UringRing::status(int fd, struct ::stat& into) { return ::fstat(fd, &into) < 0 ? -errno : 0; }

void UringRing::close(int fd) {
    // EINTR and EIO still close on Linux; EBADF is our own mistake.
    int result = ::close(fd);
    ASSERT(result == 0 || errno != EBADF);
}

Error storage_error(int error) { return {Fault::storage, Code::io_failed, error}; }

}  // namespace

Result<std::vector<std::string>> list_directory(int directory) { return list_some(directory, SIZE_MAX); }

Result<std::vector<std::string>> list_some(int directory, std::size_t count_max) {
    int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* opened = copy < 0 ? nullptr : ::fdopendir(copy);
    if (!opened) {
        auto error = storage_error(errno);
        if (copy >= 0) ::close(copy);
        return error;
    }
    std::vector<std::string> names;
    while (names.size() < count_max) {
        const dirent* entry = ::readdir(opened);
        if (!entry) break;
        std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(opened);
    return names;
}

Result<int> open_directory(const std::string& path, bool make) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int opened = ::open(path.c_str(), flags);
    if (opened < 0 && errno == ENOENT && make) {
        if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST) return storage_error(errno);
        opened = ::open(path.c_str(), flags);
    }
    if (opened < 0) return storage_error(errno);
    struct ::stat status {};
    bool known = ::fstat(opened, &status) == 0;
    bool ours = known && (status.st_uid == ::geteuid() || status.st_uid == 0);
    if (!ours || (status.st_mode & S_IWOTH)) {
        ::close(opened);
        return storage_error(EPERM);
    }
    return opened;
}

Result<void> lock_directory(int directory) {
    if (::flock(directory, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno == EWOULDBLOCK) return Error{Fault::storage, Code::busy, EWOULDBLOCK};
    return storage_error(errno);
}

void close_directory(int directory) noexcept { ::close(directory); }

Result<FileSystem> file_system_of(int directory) {
    struct ::stat status {};
    struct ::statvfs space {};
    if (::fstat(directory, &status) < 0 || ::fstatvfs(directory, &space) < 0) return storage_error(errno);
    return FileSystem{status.st_dev, static_cast<std::uint64_t>(space.f_blocks) * space.f_frsize};
}

Result<std::unique_ptr<Ring>, std::string> Ring::open(const Options& options) {
    auto ring = std::make_unique<UringRing>(options);
    auto started = ring->start();
    if (!started) return started.error();
    return std::unique_ptr<Ring>(std::move(ring));
}

}  // namespace entrepot
