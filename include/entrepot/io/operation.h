#pragma once
// One request to the kernel. It lives where its result is wanted, usually in the awaiting frame, and its address is what the ring carries;
// so it must not move or die until it completed. `in_flight` is asserted false at destruction.

#include "entrepot/base/assert.h"
#include "entrepot/base/bytes.h"

#include <sys/socket.h>

#include <cstdint>

namespace entrepot {

/// What to ask for. Plain data, so that the ring and the simulator read the same request. Pointers must stay valid until completion.
struct Request {
    enum class Kind : std::uint8_t {
        accept,          ///< fd; multishot; each completion's result is a new descriptor (non-blocking, close-on-exec)
        receive_many,    ///< fd; multishot into provided buffers; result bytes, flags carry the buffer's id
        receive,         ///< fd, address, length, flags (MSG_TRUNC: the bytes are dropped in the kernel, address may be null)
        send,            ///< fd, address, length, flags (MSG_*)
        connect,         ///< fd, address (sockaddr), length
        poll,            ///< fd, flags (POLL*)
        read,            ///< fd, address, length, offset, buffer_index when >= 0 is a registered buffer that contains the range
        write,           ///< as read
        open,            ///< fd (directory), path, flags (O_*), mode; always RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
        data_sync,       ///< fd
        sync,            ///< fd
        sync_range,      ///< fd, offset, length: start write-back (SYNC_FILE_RANGE_WRITE)
        allocate,        ///< fd, offset, size
        rename,          ///< fd/path to other_fd/other_path; flags (RENAME_NOREPLACE)
        unlink,          ///< fd, path
        make_directory,  ///< fd, path, mode
    };

    Kind kind = Kind::poll;
    std::int16_t buffer_index = -1;
    int fd = -1;
    int other_fd = -1;
    std::uint32_t flags = 0;
    std::uint32_t mode = 0;
    void* address = nullptr;
    std::uint32_t length = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    const char* path = nullptr;
    const char* other_path = nullptr;
};

class Operation {
  public:
    /// Called on the owning thread for each completion. `more` is true while further completions will follow (multishot).
    using Completed = void (*)(Operation&, std::int32_t result, std::uint32_t flags, bool more);

    explicit Operation(Completed completed) noexcept : completed_(completed) {}
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    ~Operation() { ASSERT(!in_flight_); }

    bool in_flight() const noexcept { return in_flight_; }

    /// For rings only.
    void submitted(Request::Kind kind) noexcept {
        ASSERT(!in_flight_);
        in_flight_ = true;
        kind_ = kind;
    }
    Request::Kind kind() const noexcept { return kind_; }
    void complete(std::int32_t result, std::uint32_t flags, bool more) noexcept {
        ASSERT(in_flight_);
        in_flight_ = more;
        completed_(*this, result, flags, more);
    }

  private:
    Completed completed_;
    bool in_flight_ = false;
    Request::Kind kind_ = Request::Kind::poll;
};

}  // namespace entrepot
