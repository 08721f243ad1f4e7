#pragma once
// Mode --probe.

#include "herd/client.h"
#include "herd/report.h"

#include <cstdio>

namespace entrepot::bench {

// One request at a time on one connection, due at fixed moments. A late answer delays the next request but not the moment it
// was due, and latency counts from that moment: a stall of 50 ms at 1,000 a second shows as 50 slow samples, as users feel it.
class Probe {
  public:
    Probe(const Options& options, const Target& target) : options_(options), target_(target) { client_.target = &target_; }

    int run() {
        const auto interval = static_cast<std::uint64_t>(1e9 / options_.rate);
        const auto start = now();
        const auto end = start + static_cast<std::uint64_t>(options_.duration * 1e9);
        for (std::uint64_t due = start; due < end && !interrupted && tally_.failures() < failures_max; due += interval) {
            sleep_until(due);
            ask(due);
        }
        std::printf("{\"mode\":\"probe\",\"rate\":%.1f,", options_.rate);
        tally_.print();
        print_times("latency_s", latency_);
        std::printf(",\"wall_s\":%.6f}\n", seconds(now() - start));
        return tally_.all_ok() ? 0 : 1;
    }

  private:
    static void sleep_until(std::uint64_t moment) {
        const timespec time{static_cast<time_t>(moment / 1'000'000'000U), static_cast<long>(moment % 1'000'000'000U)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR && !interrupted) {}
    }

    void ask(std::uint64_t due) {
        if (client_.fd < 0) {
            client_.fd = connect_to(target_, false, 0);
            poll_.watch(EPOLL_CTL_ADD, client_, EPOLLIN);
        }
        client_.answer.restart(options_.method == "HEAD", false);
        const auto give_up = now() + static_cast<std::uint64_t>(options_.deadline * 1e9);
        while (!send_request(client_) && !client_.answer.ended() && now() < give_up) sleep_until(now() + 20'000);
        while (!client_.answer.ended() && now() < give_up && !interrupted)
            poll_.wait(100, [&](Client& client, std::uint32_t) { client.answer.read(client.fd, scratch_); });
        if (client_.answer.state() == Answer::State::complete) {
            tally_.complete(client_.answer.status());
            latency_.add(now() - due);
            if (!client_.answer.server_closes()) return;
        } else {
            tally_.fail(client_.answer.ended() ? client_.answer.why() : "not answered before the deadline");
        }
        close(client_.fd);
        client_.fd = -1;
    }

    const Options& options_;
    Target target_;
    Client client_;
    Poll poll_;
    Scratch scratch_;
    Tally tally_;
    LatencyHistogram latency_;
};

}  // namespace entrepot::bench
