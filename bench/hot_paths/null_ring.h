#pragma once
// A ring to which nothing ever happens: loops turn over it without a kernel. Whoever asks it for input or output has made a mistake.

#include "entrepot/io/ring.h"

namespace entrepot::bench {

class NullRing final : public Ring {
  public:
    void submit(Operation&, const Request&) override { refuse(); }
    void cancel(Operation&) override { refuse(); }
    unsigned reap(Instant) override { return 0; }
    void flush_file_requests() override {}
    void wake() noexcept override {}
    std::size_t in_flight() const noexcept override { return 0; }
    std::byte* provided_buffer(std::uint32_t) noexcept override { return refuse(), nullptr; }
    void give_back(std::uint32_t) noexcept override { refuse(); }
    bool register_buffers(MutableBytes) override { return false; }
    int socket(int, int) override { return refuse(); }
    int bind_and_listen(int, const sockaddr*, socklen_t, int) override { return refuse(); }
    int bind(int, const sockaddr*, socklen_t) override { return refuse(); }
    int set_option(int, int, int, const void*, socklen_t) override { return refuse(); }
    int get_option(int, int, int, void*, socklen_t*) override { return refuse(); }
    int local_address(int, sockaddr*, socklen_t*) override { return refuse(); }
    int peer_address(int, sockaddr*, socklen_t*) override { return refuse(); }
    std::int64_t send_now(int, Bytes, Bytes, int) override { return refuse(); }
    std::int64_t receive_now(int, MutableBytes, int) override { return refuse(); }
    std::int64_t send_file_now(int, int, std::uint64_t, std::size_t) override { return refuse(); }
    bool resident(int, std::uint64_t, std::uint64_t, bool) override { return refuse(); }
    int shutdown(int, int) override { return refuse(); }
    int status(int, struct ::stat&) override { return refuse(); }
    void close(int) override { refuse(); }

  private:
    int refuse() const noexcept {
        ASSERT(!"a ring without a kernel was asked for something");
        return -1;
    }
};

}  // namespace entrepot::bench
