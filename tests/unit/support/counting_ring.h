#pragma once
// The ring of a test's loop: the real one, which also remembers what was opened and read.

#include "entrepot/io/ring.h"

#include <vector>

namespace entrepot {

class CountingRing final : public Ring {
  public:
    explicit CountingRing(std::unique_ptr<Ring> real) : real_(std::move(real)) {}

    /// Where each read of a file began, in the order of their submission.
    std::vector<std::uint64_t> read_offsets;
    int opened = 0;

    Ring& real() noexcept { return *real_; }
    void submit(Operation& operation, const Request& request) override {
        opened += request.kind == Request::Kind::open;
        if (request.kind == Request::Kind::read) read_offsets.push_back(request.offset);
        real_->submit(operation, request);
    }
    void cancel(Operation& operation) override { real_->cancel(operation); }
    unsigned reap(Instant until) override { return real_->reap(until); }
    void flush_file_requests() override { real_->flush_file_requests(); }
    void wake() noexcept override { real_->wake(); }
    std::size_t in_flight() const noexcept override { return real_->in_flight(); }
    std::byte* provided_buffer(std::uint32_t flags) noexcept override { return real_->provided_buffer(flags); }
    void give_back(std::uint32_t flags) noexcept override { real_->give_back(flags); }
    bool register_buffers(MutableBytes region) override { return real_->register_buffers(region); }
    int socket(int family, int type) override { return real_->socket(family, type); }
    int bind_and_listen(int fd, const sockaddr* address, socklen_t length, int backlog) override {
        return real_->bind_and_listen(fd, address, length, backlog);
    }
    int bind(int fd, const sockaddr* address, socklen_t length) override { return real_->bind(fd, address, length); }
    int set_option(int fd, int level, int name, const void* value, socklen_t length) override {
        return real_->set_option(fd, level, name, value, length);
    }
    int get_option(int fd, int level, int name, void* value, socklen_t* length) override {
        return real_->get_option(fd, level, name, value, length);
    }
    int local_address(int fd, sockaddr* address, socklen_t* length) override { return real_->local_address(fd, address, length); }
    int peer_address(int fd, sockaddr* address, socklen_t* length) override { return real_->peer_address(fd, address, length); }
    std::int64_t send_now(int fd, Bytes head, Bytes body, int flags) override { return real_->send_now(fd, head, body, flags); }
    std::int64_t receive_now(int fd, MutableBytes into, int flags) override { return real_->receive_now(fd, into, flags); }
    std::int64_t send_file_now(int fd, int file, std::uint64_t offset, std::size_t length) override {
        return real_->send_file_now(fd, file, offset, length);
    }
    bool resident(int file, std::uint64_t offset, std::uint64_t length, bool closely) override {
        return real_->resident(file, offset, length, closely);
    }
    int shutdown(int fd, int how) override { return real_->shutdown(fd, how); }
    int status(int fd, struct ::stat& into) override { return real_->status(fd, into); }
    void close(int fd) override { real_->close(fd); }

  private:
    std::unique_ptr<Ring> real_;
};

}  // namespace entrepot
