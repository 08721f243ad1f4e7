#pragma once
// CPU clocks: of the servers that the user named (all their threads, also ended ones and the kernel's io_uring workers), and of
// this process.

#include "entrepot/base/result.h"

#include <sys/types.h>

#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace entrepot::load {

class CpuMeter {
  public:
    /// The error is one line: which process there is not.
    static Result<CpuMeter, std::string> of(const std::vector<pid_t>& servers);

    /// The window begins; a later call begins it anew.
    void start() noexcept;
    void stop() noexcept;
    /// CPU seconds inside the window.
    double own() const noexcept { return own_; }
    std::optional<double> servers() const noexcept {
        if (clocks_.empty()) return std::nullopt;
        return servers_;
    }

  private:
    double read_servers() const noexcept;

    std::vector<clockid_t> clocks_;
    double own_ = 0, servers_ = 0;
    double own_before_ = 0, servers_before_ = 0;
};

}  // namespace entrepot::load
