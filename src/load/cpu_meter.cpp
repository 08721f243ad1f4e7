#include "load/cpu_meter.h"

#include <fmt/format.h>

namespace entrepot::load {
namespace {

double seconds_of(clockid_t clock) noexcept {
    timespec time{};
    if (clock_gettime(clock, &time) != 0) return 0;
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

Result<CpuMeter, std::string> CpuMeter::of(const std::vector<pid_t>& servers) {
    CpuMeter meter;
    for (pid_t pid : servers) {
        clockid_t clock{};
        if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0)
            return fmt::format("--server-pid: there is no process {} on this machine", pid);
        meter.clocks_.push_back(clock);
    }
    meter.start();
    return meter;
}

double CpuMeter::read_servers() const noexcept {
    double sum = 0;
    for (clockid_t clock : clocks_) sum += seconds_of(clock);
    return sum;
}

void CpuMeter::start() noexcept {
    servers_before_ = read_servers();
    own_before_ = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

void CpuMeter::stop() noexcept {
    servers_ = read_servers() - servers_before_;
    own_ = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - own_before_;
}

}  // namespace entrepot::load
