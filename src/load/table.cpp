// The table at the end of a run.

#include "load/report.h"

#include "entrepot/base/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::load {
namespace {

constexpr int label_width = 14;

std::string line(std::string_view label, std::string_view text) { return fmt::format("{:<{}} {}\n", label, label_width, text); }

std::string grouped(std::uint64_t number) {
    auto digits = fmt::format("{}", number);
    for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
}

std::string row(std::string_view label, const LatencyHistogram& times) {
    if (times.count() == 0) return {};
    std::string text = fmt::format("  {:<18} {:>11}", label, grouped(times.count()));
    for (double share : {0.5, 0.9, 0.99, 0.999}) text += fmt::format(" {:>10}", time_for_people(times.percentile(share)));
    return text + fmt::format(" {:>10}\n", time_for_people(times.longest()));
}

std::string times_of(const Report& report) {
    std::string rows;
    auto all = report.total.all();
    rows += row("first byte", all.first_byte);
    rows += row("whole answer", all.whole);
    bool several = false;
    for (std::size_t index = 0; index < kinds; ++index) {
        const auto& kind = report.total.of(static_cast<Kind>(index));
        several |= kind.completed > 0 && kind.completed < all.completed;
    }
    for (std::size_t index = 0; index < kinds && several; ++index) {
        const auto kind = static_cast<Kind>(index);
        rows += row(fmt::format("- {}", name_of(kind)), report.total.of(kind).whole);
    }
    rows += row("whole pull", report.total.pull_times());
    for (std::size_t index = 0; index < report.probes.size(); ++index) {
        auto probe = report.probes[index].tally.all();
        rows += row(fmt::format("probe {} first", index + 1), probe.first_byte);
        rows += row(fmt::format("probe {} whole", index + 1), probe.whole);
    }
    if (rows.empty()) return {};
    auto head = fmt::format("\n  {:<18} {:>11} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "time", "count", "p50", "p90", "p99",
                            "p99.9", "max");
    return head + rows;
}

std::string counts_of(const Tally& tally) {
    std::string statuses;
    for (std::uint16_t status = 0; status < Tally::statuses; ++status)
        if (auto count = tally.with_status(status))
            statuses += fmt::format("{}{}: {}", statuses.empty() ? "" : ", ", status, grouped(count));
    return statuses;
}

std::string errors_of(const Tally& tally) {
    if (tally.errors() == 0) return "none";
    std::string text = grouped(tally.errors()) + " (";
    bool first = true;
    for (std::size_t index = 0; index < troubles; ++index) {
        auto trouble = static_cast<Trouble>(index);
        if (tally.errors_of(trouble) == 0) continue;
        text += fmt::format("{}{}: {}", first ? "" : ", ", name_of(trouble), grouped(tally.errors_of(trouble)));
        first = false;
    }
    return text + ")";
}

std::string how_of(const Report& report) {
    const auto& options = report.options;
    switch (options.mode) {
        case Mode::closed: return fmt::format("closed loop of {}", grouped(report.nodes));
        case Mode::at_once: return fmt::format("{} at once", grouped(report.nodes));
        case Mode::steady:
            return fmt::format("open loop, {:.1f} a second due, at most {} at once", options.rate, grouped(report.nodes));
        case Mode::storm:
            return fmt::format("storm, {} nodes within {}", grouped(report.nodes), time_for_people(options.storm_within));
        case Mode::replay: return fmt::format("replay of {} at {} x", options.replay_file, options.speed);
        case Mode::idle: return fmt::format("{} idle connections", grouped(options.idle));
    }
    return {};
}

std::string cpu_of(const Report& report) {
    std::string text = line("client CPU", fmt::format("{:.2f} s", report.client_cpu_s));
    if (!report.server_cpu_s) return text;
    auto requests = static_cast<double>(report.total.completed());
    auto gigabytes = static_cast<double>(report.total.bytes()) * 1e-9;
    auto each = requests > 0 ? fmt::format(", {:.2f} us a request", *report.server_cpu_s * 1e6 / requests) : std::string();
    auto bulk = gigabytes >= 0.1 ? fmt::format(", {:.3f} s a GB", *report.server_cpu_s / gigabytes) : std::string();
    return text + line("server CPU", fmt::format("{:.2f} s{}{}", *report.server_cpu_s, each, bulk));
}

std::string pulls_of(const Report& report) {
    const auto& total = report.total;
    if (total.pulls() + total.pulls_failed() == 0) return {};
    return line("pulls", fmt::format("{} complete, {} failed, {:.1f} a second, as {}", grouped(total.pulls()),
                                     grouped(total.pulls_failed()), report.per_second(total.pulls()), report.options.client));
}

std::string notes_of(const Report& report) {
    const auto& total = report.total;
    std::string text;
    if (report.options.verify) text += line("verified", fmt::format("{} bodies", grouped(total.verified)));
    if (total.resumed + total.retried + total.redirected > 0)
        text += line("on the way", fmt::format("{} resumed by Range, {} asked again on a new connection, {} redirects",
                                               grouped(total.resumed), grouped(total.retried), grouped(total.redirected)));
    if (report.options.idle > 0)
        text +=
            line("idle", fmt::format("{} held, {} ended by the server", grouped(total.idle_opened), grouped(total.idle_closed)));
    if (report.options.mode == Mode::at_once) text += line("asked within", time_for_people(total.asked_within));
    if (report.log_passed_over > 0)
        text +=
            line("passed over", fmt::format("{} requests of the log that are no GET or HEAD", grouped(report.log_passed_over)));
    for (std::size_t index = 0; index < report.probes.size(); ++index) {
        const auto& probe = report.probes[index];
        text += line(fmt::format("probe {}", index + 1),
                     fmt::format("{}, {:.0f} a second, {} answers, errors: {}", probe.url, probe.rate,
                                 grouped(probe.tally.completed()), errors_of(probe.tally)));
    }
    if (report.stopped) text += line("stopped", "by a signal before its end");
    return text;
}

}  // namespace

std::string table_of(const Report& report) {
    const auto& total = report.total;
    std::string text = line("target", report.target);
    text += line("load", how_of(report));
    text += line("measured", time_for_people(report.window));
    text += line("requests", fmt::format("{} complete, {} a second, over {} connections", grouped(total.completed()),
                                         grouped(static_cast<std::uint64_t>(report.per_second(total.completed()) + 0.5)),
                                         grouped(total.connections)));
    text +=
        line("bytes", fmt::format("{}, {:.3f} GB/s", size_for_people(total.bytes()), report.per_second(total.bytes()) * 1e-9));
    if (auto statuses = counts_of(total); !statuses.empty()) text += line("statuses", statuses);
    text += line("errors", errors_of(total));
    text += pulls_of(report);
    text += notes_of(report);
    text += cpu_of(report);
    return text + times_of(report);
}

}  // namespace entrepot::load
