#pragma once
// Mode --get.

#include "herd/client.h"
#include "herd/report.h"

#include <algorithm>
#include <cstdio>
#include <vector>

namespace entrepot::bench {

// Everybody asks once, at the same moment: connect all first, then send all requests in one pass, then read to the end.
class OneGetEach {
  public:
    OneGetEach(const Options& options, const std::vector<Target>& targets)
        : options_(options), clients_(options.clients), deadline_(now() + static_cast<std::uint64_t>(options.deadline * 1e9)) {
        for (std::size_t index = 0; index < clients_.size(); ++index) {
            clients_[index].target = &targets[index % targets.size()];
            clients_[index].verify = index < options.verify;
        }
    }

    int run() {
        connect_all();
        CpuMeter cpu(options_.server_pids);
        const auto start = now();
        ask_all();
        const auto asked = now();
        read_all();
        cpu.stop();
        report(cpu, start, asked);
        return tally_.all_ok() ? 0 : 1;
    }

  private:
    bool time_left() const { return !interrupted && now() < deadline_; }

    void connect_all() {
        std::size_t missing = clients_.size();
        for (std::size_t index = 0; index < clients_.size(); ++index) {
            clients_[index].fd = connect_to(*clients_[index].target, false, index);
            poll_.watch(EPOLL_CTL_ADD, clients_[index], EPOLLOUT | EPOLLONESHOT);
        }
        const auto take = [&](Client&, std::uint32_t events) {
            if (events & EPOLLERR) stop_with(1, "connection refused");
            missing--;
        };
        while (missing > 0 && time_left()) poll_.wait(100, take);
        if (missing > 0) stop_with(1, "%zu of %zu connections were not accepted in time", missing, clients_.size());
    }

    void ask_all() {
        for (auto& client : clients_) {
            client.answer.restart(options_.method == "HEAD", client.verify);
            client.request_at = now();
            send_request(client);
            if (!client.sent && !client.answer.ended()) client.answer.fail("send failed");
            poll_.watch(EPOLL_CTL_MOD, client, EPOLLIN);
        }
    }

    void read_all() {
        open_ = clients_.size();
        while (open_ > 0 && time_left()) poll_.wait(100, [&](Client& client, std::uint32_t) { read_some(client); });
        for (auto& client : clients_)
            if (client.fd >= 0) {
                client.answer.fail("not done before the deadline");
                finish(client);
            }
    }

    void read_some(Client& client) {
        bytes_ += client.answer.read(client.fd, scratch_);
        if (client.answer.ended()) finish(client);
    }

    void finish(Client& client) {
        client.done_at = now();
        char surplus = 0;
        if (client.answer.state() == Answer::State::complete && recv(client.fd, &surplus, 1, MSG_DONTWAIT | MSG_PEEK) > 0)
            client.answer.fail("more bytes than Content-Length");
        close(client.fd);
        client.fd = -1;
        open_--;
        if (client.answer.state() == Answer::State::failed) return tally_.fail(client.answer.why());
        if (client.verify && !client.target->sha256.empty()) {
            if (client.answer.digest() != client.target->sha256) return tally_.fail("wrong digest");
            verified_++;
        }
        tally_.complete(client.answer.status());
        first_byte_.add(client.answer.first_byte_at() - client.request_at);
        done_.add(client.done_at - client.request_at);
    }

    void report(const CpuMeter& cpu, std::uint64_t start, std::uint64_t asked) const {
        std::uint64_t last_done = start;
        for (const auto& client : clients_) last_done = std::max(last_done, client.done_at);
        std::printf("{\"mode\":\"get\",\"clients\":%zu,", clients_.size());
        tally_.print();
        std::printf(",\"verified\":%llu,\"body_bytes\":%llu", static_cast<unsigned long long>(verified_),
                    static_cast<unsigned long long>(bytes_));
        std::printf(",\"asked_within_s\":%.6f,\"last_done_s\":%.6f", seconds(asked - start), seconds(last_done - start));
        print_times("first_byte_s", first_byte_);
        print_times("done_s", done_);
        print_cpu(cpu);
        std::printf("}\n");
    }

    const Options& options_;
    std::vector<Client> clients_;
    std::uint64_t deadline_;
    Poll poll_;
    Scratch scratch_;
    std::size_t open_ = 0;
    std::uint64_t bytes_ = 0;
    std::uint64_t verified_ = 0;
    Tally tally_;
    LatencyHistogram first_byte_;
    LatencyHistogram done_;
};

}  // namespace entrepot::bench
