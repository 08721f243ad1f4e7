#pragma once
// What was measured, and how it is printed: CPU clocks, counts of answers and failures, times.

#include "herd/process.h"
#include "latency_histogram.h"

#include <sys/types.h>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace entrepot::bench {

constexpr std::uint64_t failures_max = 1000;  // a loop that fails this often measures nothing

// CPU clocks of the servers (all their threads, also ended ones and the kernel's io_uring workers) and of this process.
class CpuMeter {
  public:
    explicit CpuMeter(const std::vector<pid_t>& pids) {
        for (const pid_t pid : pids) {
            clockid_t clock{};
            if (clock_getcpuclockid(pid, &clock) != 0) stop_with(2, "no process %d", static_cast<int>(pid));
            clocks_.push_back(clock);
        }
        start();
    }
    void start() {
        server_start_ = server();
        own_start_ = nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID);
        wall_start_ = now();
    }
    void stop() {
        server_used_ = server() - server_start_;
        own_used_ = nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID) - own_start_;
        wall_ = now() - wall_start_;
    }
    double server_seconds() const { return seconds(server_used_); }
    double own_seconds() const { return seconds(own_used_); }
    double wall_seconds() const { return seconds(wall_); }
    bool has_server() const { return !clocks_.empty(); }

  private:
    std::uint64_t server() const {
        std::uint64_t sum = 0;
        for (const clockid_t clock : clocks_) sum += nanoseconds_of(clock);
        return sum;
    }
    std::vector<clockid_t> clocks_;
    std::uint64_t server_start_ = 0, own_start_ = 0, wall_start_ = 0;
    std::uint64_t server_used_ = 0, own_used_ = 0, wall_ = 0;
};

class Tally {
  public:
    void complete(int status) { by_status_[status]++; }
    void fail(const char* why) { by_failure_[why]++; }
    std::uint64_t failures() const { return sum(by_failure_); }
    std::uint64_t completed() const { return sum(by_status_); }
    bool all_ok() const { return by_failure_.empty() && !by_status_.empty() && by_status_.rbegin()->first < 300; }

    void print() const {
        std::printf("\"completed\":%llu,\"failed\":%llu,\"status\":{", static_cast<unsigned long long>(completed()),
                    static_cast<unsigned long long>(failures()));
        print_map(by_status_);
        std::printf("},\"failures\":{");
        print_map(by_failure_);
        std::printf("}");
    }

  private:
    template <typename Key>
    static std::uint64_t sum(const std::map<Key, std::uint64_t>& counts) {
        std::uint64_t total = 0;
        for (const auto& [key, count] : counts) total += count;
        return total;
    }
    static void print_key(int key) { std::printf("\"%d\"", key); }
    static void print_key(const std::string& key) { std::printf("\"%s\"", key.c_str()); }
    template <typename Key>
    static void print_map(const std::map<Key, std::uint64_t>& counts) {
        const char* comma = "";
        for (const auto& [key, count] : counts) {
            std::printf("%s", comma);
            print_key(key);
            std::printf(":%llu", static_cast<unsigned long long>(count));
            comma = ",";
        }
    }
    std::map<int, std::uint64_t> by_status_;
    std::map<std::string, std::uint64_t> by_failure_;
};

inline void print_times(const char* name, const LatencyHistogram& times) {
    const auto at = [&](double share) { return seconds(times.percentile(share)); };
    std::printf(",\"%s\":{\"min\":%.6f,\"p50\":%.6f,\"p90\":%.6f,\"p99\":%.6f", name, seconds(times.shortest()), at(0.5), at(0.9),
                at(0.99));
    std::printf(",\"p999\":%.6f,\"max\":%.6f,\"samples\":%llu}", at(0.999), seconds(times.longest()),
                static_cast<unsigned long long>(times.count()));
}

inline void print_cpu(const CpuMeter& cpu) {
    std::printf(",\"wall_s\":%.6f,\"client_cpu_s\":%.6f", cpu.wall_seconds(), cpu.own_seconds());
    if (cpu.has_server()) std::printf(",\"server_cpu_s\":%.6f", cpu.server_seconds());
}

}  // namespace entrepot::bench
