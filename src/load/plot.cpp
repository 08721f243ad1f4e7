// The pictures of a run: answers and bytes over time, and latency by percentile.

#include "load/report.h"

#include "load/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace entrepot::load {
namespace {

constexpr int heading_height = 64;
constexpr double least_share = 0.3;  // of an interval: a shorter last one would look like a fall
constexpr std::size_t words_max = 110;

double seconds_of(Duration time) { return static_cast<double>(time.count()) * 1e-9; }

/// A rate over time: level within each interval.
template <typename Count>
Curve over_time(std::string name, const TimeSeries& series, double window, Count count) {
    Curve curve{std::move(name), {}, true};
    auto interval = seconds_of(series.interval());
    std::size_t index = 0;
    for (const auto& slot : series) {
        auto begin = static_cast<double>(index++) * interval;
        auto length = std::min(interval, std::max(window - begin, 0.0));
        if (length >= least_share * interval || series.size() == 1)
            for (double edge : {begin, begin + length})
                curve.points.emplace_back(edge, static_cast<double>(count(slot)) / std::max(length, 1e-3));
    }
    return curve;
}

double highest(const Chart& chart) {
    double most = 0;
    for (const auto& curve : chart.curves)
        for (auto [x, y] : curve.points) most = std::max(most, y);
    return most;
}

void scale_over_time(Chart& chart, double window) {
    chart.x_label = "seconds since the measured window began";
    chart.x_ticks = ticks_upto(window, 10);
    chart.x_most = std::max(window, 1e-3);
    std::erase_if(chart.x_ticks, [&](const Tick& tick) { return tick.at > chart.x_most * 1.001; });
    chart.y_ticks = ticks_upto(highest(chart), 5);
    chart.y_most = chart.y_ticks.back().at;
}

Chart answers_over_time(const Report& report) {
    const auto& series = report.total.series();
    auto window = seconds_of(std::max(report.window, report.total.last_ended()));
    Chart chart{.title = "Answers", .y_label = "a second"};
    chart.curves.push_back(over_time("complete", series, window, [](const TimeSeries::Slot& slot) { return slot.requests; }));
    if (report.total.errors() > 0)
        chart.curves.push_back(over_time("errors", series, window, [](const TimeSeries::Slot& slot) { return slot.errors; }));
    scale_over_time(chart, window);
    return chart;
}

Chart bytes_over_time(const Report& report) {
    auto window = seconds_of(std::max(report.window, report.total.last_ended()));
    Chart chart{.title = "Throughput", .y_label = "bytes a second"};
    chart.curves.push_back(
        over_time("bodies", report.total.series(), window, [](const TimeSeries::Slot& slot) { return slot.bytes; }));
    scale_over_time(chart, window);
    return chart;
}

/// Percentiles on an axis where each further nine takes as much room as the one before.
double place_of(double share) { return -std::log10(1 - share); }

Curve by_percentile(std::string name, const LatencyHistogram& times) {
    Curve curve{std::move(name), {}, false};
    if (times.count() == 0) return curve;
    // As far as there are samples to tell.
    auto furthest = std::log10(static_cast<double>(times.count()));
    for (double place = 0; place <= std::min(furthest, 5.0) + 1e-9; place += 0.05) {
        auto time = times.percentile(1 - std::pow(10, -place));
        curve.points.emplace_back(place, std::log10(std::max(seconds_of(time), 1e-9)));
    }
    return curve;
}

/// "100 us": no decimals.
std::string power_of_ten(int exponent) {
    constexpr const char* units[] = {"ns", "us", "ms", "s"};
    auto unit = std::clamp((exponent + 9) / 3, 0, 3);
    return fmt::format("{:.0f} {}", std::pow(10.0, exponent + 9 - 3 * unit), units[unit]);
}

/// Powers of ten around the curves.
void scale_by_percentile(Chart& chart) {
    double least = 9, most = -9, furthest = 1;
    for (const auto& curve : chart.curves) {
        for (auto [x, y] : curve.points) {
            least = std::min(least, y);
            most = std::max(most, y);
            furthest = std::max(furthest, x);
        }
    }
    if (least > most) least = most = 0;
    chart.y_least = std::floor(least);
    chart.y_most = std::max(std::ceil(most), chart.y_least + 1);
    for (int power = static_cast<int>(chart.y_least); power <= static_cast<int>(chart.y_most); ++power)
        chart.y_ticks.push_back({static_cast<double>(power), power_of_ten(power)});
    chart.x_most = furthest;
    for (double share : {0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999})
        if (place_of(share) <= furthest + 1e-9) chart.x_ticks.push_back({place_of(share), fmt::format("{:.6g} %", share * 100)});
}

Chart latency(const Report& report) {
    Chart chart{.title = "Latency by percentile", .x_label = "share of answers that were as fast or faster", .y_label = "time"};
    auto all = report.total.all();
    auto add = [&chart](std::string name, const LatencyHistogram& times) {
        if (times.count() > 0) chart.curves.push_back(by_percentile(std::move(name), times));
    };
    add("first byte", all.first_byte);
    add("whole answer", all.whole);
    add("whole pull", report.total.pull_times());
    for (std::size_t index = 0; index < report.probes.size(); ++index)
        add(fmt::format("probe {}", index + 1), report.probes[index].tally.all().whole);
    scale_by_percentile(chart);
    return chart;
}

std::string heading(const Report& report) {
    auto all = report.total.all();
    auto figures =
        fmt::format("{} load, {:.1f} s: {} answers a second, {}B/s, whole answer p50 {}, p99 {}, errors {}",
                    name_of(report.options.mode), seconds_of(report.window), number_for_people(report.per_second(all.completed)),
                    number_for_people(report.per_second(report.total.bytes())), time_for_people(all.whole.percentile(0.5)),
                    time_for_people(all.whole.percentile(0.99)), report.total.errors());
    auto target = report.target.size() > words_max ? report.target.substr(0, words_max) + "..." : report.target;
    return fmt::format(
        "<text x=\"20\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{}</text>\n<text x=\"20\" y=\"48\">{}</text>\n",
        markup(target), markup(figures));
}

/// Line by line, because a line's end is no character to be escaped.
std::string lines_of_markup(std::string_view text) {
    std::string safe;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        safe += markup(text.substr(0, end)) + "\n";
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return safe;
}

}  // namespace

std::string svg_of(const Report& report) {
    auto height = heading_height + 3 * chart_height;
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
        "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        chart_width, height);
    svg += heading(report);
    svg += draw(answers_over_time(report), heading_height);
    svg += draw(bytes_over_time(report), heading_height + chart_height);
    svg += draw(latency(report), heading_height + 2 * chart_height);
    return svg + "</svg>\n";
}

std::string html_of(const Report& report) {
    return fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>entrepot-load: {}</title>\n"
        "<style>body{{font-family:sans-serif;margin:2em auto;max-width:960px;color:#222}}pre{{background:#f6f6f6;padding:1em;overflow-x:auto}}"
        "svg{{max-width:100%;height:auto}}</style></head>\n<body><h1>entrepot-load</h1>\n<pre>{}</pre>\n{}"
        "<details><summary>JSON</summary><pre>{}</pre></details>\n</body></html>\n",
        markup(report.target), lines_of_markup(table_of(report)), svg_of(report), markup(json_of(report)));
}

}  // namespace entrepot::load
