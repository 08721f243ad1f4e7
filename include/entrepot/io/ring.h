#pragma once
// The one door to the kernel: a link-time seam. src/io/ring_uring.cpp is io_uring and system calls; tests/sim/ring_sim.cpp is a
// simulated kernel with files, sockets and faults from a seed. Everything above does its I/O through this class, and only its own thread calls it,
// except wake().
//
// Kernel: 6.1 or newer (SINGLE_ISSUER, DEFER_TASKRUN, multishot receive, provided buffer rings).

#include "entrepot/base/clock.h"
#include "entrepot/base/result.h"
#include "entrepot/io/operation.h"

#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace entrepot {

class Ring {
  public:
    struct Options {
        unsigned entries = 1024;           ///< submission queue; a full queue is flushed, never an error
        unsigned completions = 8192;       ///< completion queue: room for multishot bursts
        unsigned provided_buffers = 1024;  ///< power of two; receive_many ends with -ENOBUFS when all are out
        unsigned provided_buffer_bytes = 4096;
        unsigned workers_max = 8;  ///< io-wq threads, bounded and unbounded each
        bool files = true;         ///< whether requests may name and change files; a ring without cannot, whatever is asked of it
    };

    /// Opens the ring on the calling thread, and asks it for something: what the kernel refuses later it refuses here. The error is one line that says
    /// what the operator must do (sysctl, seccomp profile, kernel version, limits).
    static Result<std::unique_ptr<Ring>, std::string> open(const Options& options);
    virtual ~Ring() = default;

    /// Queues the request; the operation completes in a later reap(). Never fails: errors arrive as results.
    virtual void submit(Operation& operation, const Request& request) = 0;
    /// Asks for an early end; the operation still completes (with -ECANCELED, or its result when that came first).
    virtual void cancel(Operation& operation) = 0;
    /// Submits what is queued, waits until a completion, a wake() or `until`, and completes every operation that is done. Returns how many.
    virtual unsigned reap(Instant until) = 0;
    /// Submits now what was queued if any of it may do work inside the submission (file reads of cached pages copy there), so that the loop's
    /// stall measure sees it. Does nothing otherwise.
    virtual void flush_file_requests() = 0;
    /// From any thread: makes the current or next reap() return.
    virtual void wake() noexcept = 0;
    virtual std::size_t in_flight() const noexcept = 0;

    /// Requests that the kernel answered with EACCES although nobody's files and no firewall have a say in them: the ring's allow-list refused them. A defect of ours,
    /// and 0 for ever. Read by metrics from any thread.
    std::atomic<std::uint64_t> refusals{0};

    /// The bytes of a buffer that receive_many delivered, and its return to the kernel.
    virtual std::byte* provided_buffer(std::uint32_t completion_flags) noexcept = 0;
    virtual void give_back(std::uint32_t completion_flags) noexcept = 0;

    /// Registers one region for read and write with buffer_index 0 (READ_FIXED, WRITE_FIXED). False, with one log line for the process, when RLIMIT_MEMLOCK
    /// forbids it; requests must then carry buffer_index -1.
    virtual bool register_buffers(MutableBytes region) = 0;

    // System calls that never wait, because descriptors are non-blocking or the kernel only touches memory. They return >= 0 or -errno.
    virtual int socket(int family, int type) = 0;
    virtual int bind_and_listen(int fd, const sockaddr* address, socklen_t length,
                                int backlog) = 0;  ///< with SO_REUSEADDR, SO_REUSEPORT
    virtual int bind(int fd, const sockaddr* address,
                     socklen_t length) = 0;  ///< where a connection comes from; its port is chosen late
    virtual int set_option(int fd, int level, int name, const void* value, socklen_t length) = 0;
    virtual int get_option(int fd, int level, int name, void* value, socklen_t* length) = 0;
    virtual int local_address(int fd, sockaddr* address, socklen_t* length) = 0;
    virtual int peer_address(int fd, sockaddr* address, socklen_t* length) = 0;
    virtual std::int64_t send_now(int fd, Bytes head, Bytes body, int flags) = 0;  ///< one sendmsg of two pieces, MSG_DONTWAIT
    virtual std::int64_t receive_now(int fd, MutableBytes into, int flags) = 0;    ///< MSG_DONTWAIT
    /// sendfile(2). Blocks on pages that are not in memory: ask resident() first.
    virtual std::int64_t send_file_now(int fd, int file, std::uint64_t offset, std::size_t length) = 0;
    /// True when every page of the range is in the page cache. Counted (cachestat, 0.4 us for 2 MiB), which trusts pages whose read-ahead is still on its way; `closely` adds a
    /// read of one byte (RWF_NOWAIT, 0.7 us) every 128 KiB and at the end, which does not. Before 6.5 there is only the close look.
    virtual bool resident(int file, std::uint64_t offset, std::uint64_t length, bool closely) = 0;
    virtual int shutdown(int fd, int how) = 0;
    virtual int status(int fd, struct ::stat& into) = 0;
    /// Closes; no operation on it may be in flight.
    virtual void close(int fd) = 0;
};

/// Names in an open directory, without "." and "..". May block: only at start or from a blocking lane. Part of the seam.
Result<std::vector<std::string>> list_directory(int directory);

// Roots of volumes. Like list_directory they are part of the seam and may block: only at start, at the end, or from a blocking lane. Failures are
// Fault::storage with the errno in `detail`. The simulator (tests/sim) has its own: a root is a simulated disk, a lock lives as long as its process.

/// Opens a directory by its path; files beneath it are opened relative to the result. Its last component must be a directory and no symbolic link (ENOTDIR, ELOOP),
/// belong to this process's user or to root, and not be writable by everybody (EPERM). `make`: when only the last component is missing it is made, mode 0700.
Result<int> open_directory(const std::string& path, bool make);
/// Takes the exclusive lock of an open directory until it is closed. Code::busy when another process holds it.
Result<void> lock_directory(int directory);
void close_directory(int directory) noexcept;

/// The file system that holds an open directory.
struct FileSystem {
    std::uint64_t id = 0;     ///< equal for directories on one file system
    std::uint64_t bytes = 0;  ///< its whole size
};
Result<FileSystem> file_system_of(int directory);

}  // namespace entrepot
