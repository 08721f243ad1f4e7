#include "load/report.h"

#include <fmt/format.h>

#include <cmath>

namespace entrepot::load {

bool Report::all_well() const {
    bool answered = total.completed() > 0 || options.mode == Mode::idle;
    bool well = answered && total.errors() == 0 && total.idle_closed == 0;
    for (const auto& probe : probes) well = well && probe.tally.errors() == 0 && probe.tally.completed() > 0;
    return well;
}

double Report::per_second(std::uint64_t count) const {
    auto length = static_cast<double>(window.count()) * 1e-9;
    return length > 0 ? static_cast<double>(count) / length : 0;
}

std::string time_for_people(Duration time) {
    struct Unit {
        double ns;
        const char* name;
    };
    constexpr Unit units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    auto ns = static_cast<double>(time.count());
    for (const auto& unit : units) {
        auto value = ns / unit.ns;
        if (value < 1 && unit.ns > 1) continue;
        int decimals = value >= 100 || unit.ns == 1 ? 0 : value >= 10 ? 1 : 2;
        return fmt::format("{:.{}f} {}", value, decimals, unit.name);
    }
    return "0 ns";
}

}  // namespace entrepot::load
