#pragma once
// Words to Options, or one line about what is wrong with them.

#include "entrepot/base/result.h"
#include "load/options.h"

namespace entrepot::load {

// Bounds of what may be asked for.
constexpr std::size_t connections_max = 1'000'000;  // descriptors decide long before
constexpr std::size_t threads_max = 256;
constexpr std::size_t probes_max = 8;
constexpr std::size_t follows_max = 16;
constexpr std::size_t sources_max = 256;
constexpr std::size_t headers_max = 64;
constexpr double rate_max = 10e6;
constexpr Duration duration_max = std::chrono::hours(24);
constexpr Duration loop_duration = seconds(10);                 // default of --duration where it ends the load
constexpr Duration finite_duration = std::chrono::minutes(10);  // and where it only bounds it

/// Why there are no Options: `exit` 0 with the text that was asked for (--help, --version), or 2 with one line.
struct NoOptions {
    int exit = 2;
    std::string text;
};

/// `words` without the program's name.
Result<Options, NoOptions> parse_command_line(const std::vector<std::string>& words);

}  // namespace entrepot::load
