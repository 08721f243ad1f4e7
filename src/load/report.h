#pragma once
// What a run found out, and the forms it is told in: a table for a terminal, JSON for programs (its shape is in docs/LOAD.md
// and only grows), SVG and HTML for people who were not there.

#include "load/options.h"
#include "load/tally.h"

#include <optional>
#include <string>
#include <vector>

namespace entrepot::load {

struct ProbeReport {
    std::string url;
    double rate = 0;
    Tally tally;
};

struct Report {
    Options options;
    std::string target;  ///< the first one, and how many more
    std::size_t nodes = 0;
    Tally total;
    std::vector<ProbeReport> probes;
    Duration window{0};  ///< measured
    double client_cpu_s = 0;
    std::optional<double> server_cpu_s;
    std::size_t log_passed_over = 0;
    bool stopped = false;  ///< by a signal

    /// Every answer was complete and right, and there was one.
    bool all_well() const;
    double per_second(std::uint64_t count) const;
};

std::string table_of(const Report& report);
std::string json_of(const Report& report);
/// Both throughput over time and latency percentiles, one picture.
std::string svg_of(const Report& report);
std::string html_of(const Report& report);

/// "1.23 ms": three significant digits and the unit that fits.
std::string time_for_people(Duration time);

}  // namespace entrepot::load
