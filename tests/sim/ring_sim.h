#pragma once
// Ring as a simulated kernel (see world.h, disk.h, network.h). Socket requests are tried when they are submitted and again whenever their socket changes; file requests
// take effect at a drawn moment and are reported at a later one. What the real kernel would call a caller's mistake (an unknown descriptor, a close with operations
// in flight, a buffer given back twice, a registered buffer that is none) stops the run.

#include "entrepot/io/ring.h"

#include "world.h"

#include <deque>
#include <map>
#include <vector>

namespace entrepot::sim {

class SimRing final : public Ring, private Waiter {
  public:
    explicit SimRing(const Options& options);
    ~SimRing() override;

    void submit(Operation& operation, const Request& request) override;
    void cancel(Operation& operation) override;
    unsigned reap(Instant until) override;
    void flush_file_requests() override;
    void wake() noexcept override { woken_ = true; }
    std::size_t in_flight() const noexcept override { return pending_.size() + finished_last_; }
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

    /// Something for reap() to do.
    bool has_news() const { return woken_ || !finished_.empty() || !submitted_.empty() || !cancelled_.empty(); }
    std::size_t provided_buffers_out() const { return out_count_; }
    const std::string& process() const { return process_; }

  private:
    struct Pending {
        Operation* operation;
        Request request;
        std::size_t progress = 0;  // bytes of a MSG_WAITALL send
        bool started = false;      // past the point where cancel can help
        bool waits = false;        // listed with its socket
    };
    struct Finished {
        Operation* operation;
        std::int32_t result;
        std::uint32_t flags;
        bool more;
    };

    // ring_sim.cpp: requests on their way
    void socket_changed(std::uint64_t request) override { try_socket(request); }
    void check_registered(const Request& request) const;
    void flush();
    void start(std::uint64_t number);
    void start_cancels();
    void cancel_now(std::uint64_t number);
    void finish(std::uint64_t number, std::int32_t result, std::uint32_t flags = 0);
    void report(Pending& pending, std::int32_t result, std::uint32_t flags);
    void stop_waiting(Pending& pending, std::uint64_t number);

    // ring_sim_sockets.cpp
    SocketRef socket_of(int fd);
    void try_socket(std::uint64_t number);
    void try_accept(std::uint64_t number, Pending& pending, Socket& listener);
    void try_receive_many(std::uint64_t number, Pending& pending, Socket& socket);
    void try_send(std::uint64_t number, Pending& pending, const SocketRef& socket);
    void try_connect(std::uint64_t number, Pending& pending, const SocketRef& socket);

    // ring_sim_files.cpp
    Descriptor& file_of(int fd);
    void perform_file(std::uint64_t number);
    std::int32_t file_result(const Request& request);
    std::int32_t name_result(const Request& request);
    std::int32_t noting_full(std::int64_t result);
    std::int32_t sync_result(Descriptor& file);
    std::int32_t refusal_of_write(const Descriptor& file);
    std::int32_t transfer(const Request& request, Descriptor& file);
    void read_ahead(const InodeRef& file, std::uint64_t offset);
    std::int32_t open_result(const Request& request);

    World& world_;
    Options options_;
    std::string process_;
    std::uint64_t number_;
    std::uint64_t next_request_ = 1;
    std::map<std::uint64_t, Pending> pending_;
    std::map<Operation*, std::uint64_t> numbers_;  // looked up only, never walked: addresses must not decide anything
    std::vector<std::uint64_t> submitted_;
    std::vector<std::uint64_t> cancelled_;
    std::deque<Finished> finished_;
    std::size_t finished_last_ = 0;  // finished requests that were not reported yet and have no more to come
    bool woken_ = false;

    std::vector<std::byte> buffers_;
    std::deque<std::uint16_t> free_buffers_;
    std::vector<bool> buffer_out_;
    std::size_t out_count_ = 0;
    MutableBytes registered_;
};

}  // namespace entrepot::sim
