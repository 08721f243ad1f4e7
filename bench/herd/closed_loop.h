#pragma once
// Mode --loop.

#include "herd/client.h"
#include "herd/report.h"

#include <cstdio>
#include <deque>
#include <vector>

namespace entrepot::bench {

// Every connection asks again as soon as its answer is complete; with --no-keepalive on a new connection each time.
class ClosedLoop {
  public:
    ClosedLoop(const Options& options, const std::vector<Target>& targets)
        : options_(options), targets_(targets), clients_(options.clients) {}

    int run() {
        for (auto& client : clients_) begin(client);
        turn_until(now() + static_cast<std::uint64_t>(options_.warmup * 1e9));
        CpuMeter cpu(options_.server_pids);
        forget_warmup();
        turn_until(now() + static_cast<std::uint64_t>(options_.duration * 1e9));
        cpu.stop();
        report(cpu);
        return tally_.all_ok() ? 0 : 1;
    }

  private:
    void turn_until(std::uint64_t end) {
        while (now() < end && !interrupted && tally_.failures() < failures_max)
            poll_.wait(10, [&](Client& client, std::uint32_t events) { turn(client, events); });
    }

    void forget_warmup() {
        if (tally_.failures() > 0) return;  // keep failures visible
        tally_ = Tally();
        latency_.clear();
        bytes_ = 0;
    }

    void begin(Client& client) {
        if (client.fd < 0) connect_client(client);
        client.answer.restart(options_.method == "HEAD", false);
        client.sent = false;
        // Over loopback the handshake is over when connect() returns, so the request can nearly always leave at once.
        if (!send_request(client)) poll_.watch(EPOLL_CTL_MOD, client, EPOLLIN | EPOLLOUT);
    }

    void connect_client(Client& client) {
        client.target = &targets_[turn_ % targets_.size()];
        client.fd = connect_to(*client.target, !options_.keepalive, turn_++);
        poll_.watch(EPOLL_CTL_ADD, client, EPOLLIN);
        client.request_at = now();
    }

    void turn(Client& client, std::uint32_t events) {
        if (!client.sent) {
            if (events & EPOLLERR) client.answer.fail("refused");
            if (send_request(client)) poll_.watch(EPOLL_CTL_MOD, client, EPOLLIN);
            if (!client.answer.ended()) return;
        }
        bytes_ += client.answer.read(client.fd, scratch_);
        if (client.answer.ended()) finish(client);
    }

    void finish(Client& client) {
        const bool failed = client.answer.state() == Answer::State::failed;
        const auto time = now();
        if (failed) {
            tally_.fail(client.answer.why());
        } else {
            tally_.complete(client.answer.status());
            latency_.add(time - client.request_at);
        }
        client.request_at = time;
        if (failed || !options_.keepalive || client.answer.server_closes()) {
            close(client.fd);
            client.fd = -1;
        }
        begin(client);
    }

    void report(const CpuMeter& cpu) const {
        const auto requests = static_cast<double>(tally_.completed());
        const char* keepalive = options_.keepalive ? "true" : "false";
        std::printf("{\"mode\":\"loop\",\"connections\":%zu,\"keepalive\":%s,", clients_.size(), keepalive);
        tally_.print();
        const auto gigabytes = static_cast<double>(bytes_) * 1e-9;
        std::printf(",\"body_bytes\":%llu,\"requests_per_s\":%.1f,\"gb_per_s\":%.4f", static_cast<unsigned long long>(bytes_),
                    requests / cpu.wall_seconds(), gigabytes / cpu.wall_seconds());
        if (cpu.has_server() && requests > 0)
            std::printf(",\"server_cpu_us_per_request\":%.4f", cpu.server_seconds() * 1e6 / requests);
        print_times("latency_s", latency_);
        print_cpu(cpu);
        std::printf("}\n");
    }

    const Options& options_;
    const std::vector<Target>& targets_;
    std::deque<Client> clients_;
    std::uint64_t turn_ = 0;
    Poll poll_;
    Scratch scratch_;
    std::uint64_t bytes_ = 0;
    Tally tally_;
    LatencyHistogram latency_;
};

}  // namespace entrepot::bench
