#pragma once
// Mode --probe.

#include "herd/client.h"
#include "herd/report.h"

#include <sys/timerfd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace entrepot::bench {

// Independent users: requests are due at fixed moments, whatever became of the earlier ones, and latency counts from the
// moment a request was due. A server that is away for 50 ms at 1,000 a second shows as 50 slow samples, as users feel it.
// Each request takes an idle connection; only when all --connections are busy does a due request wait, and that counts too.
class Probe {
  public:
    Probe(const Options& options, const Target& target)
        : options_(options), target_(target), clients_(options.clients),
          interval_(static_cast<std::uint64_t>(1e9 / options.rate)) {}

    int run() {
        for (auto& client : clients_) open(client);
        watch_timer();
        const auto start = now();
        counts_from_ = start + static_cast<std::uint64_t>(options_.warmup * 1e9);
        const auto end = counts_from_ + static_cast<std::uint64_t>(options_.duration * 1e9);
        due_ = start;
        set_timer();
        while (now() < end && !interrupted && tally_.failures() < failures_max) turn();
        finish_running();
        std::printf("{\"mode\":\"probe\",\"rate\":%.1f,\"connections\":%zu,", options_.rate, clients_.size());
        tally_.print();
        print_times("latency_s", latency_);
        std::printf(",\"wall_s\":%.6f}\n", seconds(now() - start));
        return tally_.all_ok() ? 0 : 1;
    }

  private:
    void open(Client& client) {
        client.target = &target_;
        client.fd = connect_to(target_, false, 0);
        poll_.watch(EPOLL_CTL_ADD, client, EPOLLIN);
        idle_.push_back(&client);
    }

    // A timer of its own, because epoll_wait counts in whole milliseconds.
    void watch_timer() {
        timer_.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timer_.fd < 0) stop_with(1, "timerfd_create: %s", std::strerror(errno));
        poll_.watch(EPOLL_CTL_ADD, timer_, EPOLLIN);
    }

    void set_timer() const {
        const timespec moment{static_cast<time_t>(due_ / 1'000'000'000U), static_cast<long>(due_ % 1'000'000'000U)};
        const itimerspec setting{{}, moment};
        timerfd_settime(timer_.fd, TFD_TIMER_ABSTIME, &setting, nullptr);
    }

    void turn() {
        poll_.wait(100, [&](Client& client, std::uint32_t) {
            if (&client != &timer_) return read(client);
            std::uint64_t expirations = 0;
            if (::read(timer_.fd, &expirations, sizeof expirations) < 0) return;
        });
        ask_what_is_due();
    }

    void ask_what_is_due() {
        for (; due_ <= now() && !idle_.empty(); due_ += interval_) {
            auto& client = *idle_.back();
            idle_.pop_back();
            client.answer.restart(options_.method == "HEAD", false);
            client.request_at = due_;
            // Over loopback a connection is made when connect() returns; the few microseconds after it need no epoll.
            while (!send_request(client) && !client.answer.ended() && now() < due_ + 1'000'000'000U) {}
            if (!client.sent) finish(client);
        }
        if (!idle_.empty()) set_timer();  // else the next answer brings us back
    }

    void read(Client& client) {
        client.answer.read(client.fd, scratch_);
        if (client.answer.ended()) finish(client);
    }

    void finish(Client& client) {
        if (client.answer.state() == Answer::State::complete) {
            tally_.complete(client.answer.status());
            if (client.request_at >= counts_from_) latency_.add(now() - client.request_at);
        } else {
            tally_.fail(client.answer.ended() ? client.answer.why() : "not sent");
        }
        client.sent = false;
        if (client.answer.state() == Answer::State::complete && !client.answer.server_closes()) return idle_.push_back(&client);
        close(client.fd);
        open(client);
    }

    // What is under way when the time is over still counts: it is the slow ones that are under way.
    void finish_running() {
        const auto give_up = now() + static_cast<std::uint64_t>(options_.deadline * 1e9);
        while (idle_.size() < clients_.size() && now() < give_up)
            poll_.wait(10, [&](Client& client, std::uint32_t) {
                if (&client != &timer_) read(client);
            });
        for (auto left = idle_.size(); left < clients_.size(); ++left) tally_.fail("not answered before the deadline");
    }

    const Options& options_;
    Target target_;
    std::vector<Client> clients_;
    std::vector<Client*> idle_;
    Client timer_;
    std::uint64_t interval_;
    std::uint64_t due_ = 0;
    std::uint64_t counts_from_ = 0;
    Poll poll_;
    Scratch scratch_;
    Tally tally_;
    LatencyHistogram latency_;
};

}  // namespace entrepot::bench
