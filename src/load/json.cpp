// The JSON of a run. Its shape is promised in docs/LOAD.md: keys may be added, none is renamed or removed.

#include "load/report.h"

#include <nlohmann/json.hpp>

namespace entrepot::load {
namespace {

using Json = nlohmann::ordered_json;

constexpr int shape = 1;

double seconds_of(Duration time) { return static_cast<double>(time.count()) * 1e-9; }

Json times_of(const LatencyHistogram& times) {
    return {{"samples", times.count()},
            {"min", seconds_of(times.shortest())},
            {"mean", seconds_of(times.mean())},
            {"p50", seconds_of(times.percentile(0.5))},
            {"p90", seconds_of(times.percentile(0.9))},
            {"p99", seconds_of(times.percentile(0.99))},
            {"p99_9", seconds_of(times.percentile(0.999))},
            {"max", seconds_of(times.longest())}};
}

Json kind_of(const KindTally& kind) {
    return {{"completed", kind.completed},
            {"bytes", kind.bytes},
            {"first_byte_s", times_of(kind.first_byte)},
            {"whole_s", times_of(kind.whole)}};
}

Json errors_of(const Tally& tally) {
    Json errors = Json::object();
    for (std::size_t index = 0; index < troubles; ++index) {
        auto trouble = static_cast<Trouble>(index);
        if (auto count = tally.errors_of(trouble)) errors[std::string(name_of(trouble))] = count;
    }
    return errors;
}

Json statuses_of(const Tally& tally) {
    Json statuses = Json::object();
    for (std::uint16_t status = 0; status < Tally::statuses; ++status)
        if (auto count = tally.with_status(status)) statuses[std::to_string(status)] = count;
    return statuses;
}

Json kinds_of(const Tally& tally) {
    Json all = Json::object();
    for (std::size_t index = 0; index < kinds; ++index) {
        auto kind = static_cast<Kind>(index);
        if (tally.of(kind).completed > 0) all[std::string(name_of(kind))] = kind_of(tally.of(kind));
    }
    return all;
}

Json series_of(const TimeSeries& series) {
    Json requests = Json::array(), errors = Json::array(), bytes = Json::array();
    for (const auto& slot : series) {
        requests.push_back(slot.requests);
        errors.push_back(slot.errors);
        bytes.push_back(slot.bytes);
    }
    return {{"interval_s", seconds_of(series.interval())}, {"requests", requests}, {"errors", errors}, {"bytes", bytes}};
}

Json probe_of(const ProbeReport& probe) {
    auto all = probe.tally.all();
    return {{"url", probe.url},
            {"rate", probe.rate},
            {"completed", all.completed},
            {"failed", probe.tally.errors()},
            {"statuses", statuses_of(probe.tally)},
            {"errors", errors_of(probe.tally)},
            {"first_byte_s", times_of(all.first_byte)},
            {"whole_s", times_of(all.whole)}};
}

Json server_of(const Report& report) {
    if (!report.server_cpu_s) return nullptr;
    auto requests = static_cast<double>(report.total.completed());
    auto gigabytes = static_cast<double>(report.total.bytes()) * 1e-9;
    Json server{{"cpu_s", *report.server_cpu_s}};
    server["cpu_us_per_request"] = requests > 0 ? Json(*report.server_cpu_s * 1e6 / requests) : Json(nullptr);
    server["cpu_s_per_gb"] = gigabytes > 0 ? Json(*report.server_cpu_s / gigabytes) : Json(nullptr);
    return server;
}

}  // namespace

std::string json_of(const Report& report) {
    const auto& total = report.total;
    auto all = total.all();
    Json json{{"tool", "entrepot-load"}, {"shape", shape}, {"mode", name_of(report.options.mode)}, {"target", report.target}};
    json["client"] = report.options.client;
    json["connections"] = report.nodes;
    json["threads"] = report.options.threads;
    json["window_s"] = seconds_of(report.window);
    json["stopped"] = report.stopped;
    json["completed"] = all.completed;
    json["failed"] = total.errors();
    json["requests_per_s"] = report.per_second(all.completed);
    json["bytes"] = total.bytes();
    json["bytes_per_s"] = report.per_second(total.bytes());
    json["statuses"] = statuses_of(total);
    json["errors"] = errors_of(total);
    json["first_byte_s"] = times_of(all.first_byte);
    json["whole_s"] = times_of(all.whole);
    json["kinds"] = kinds_of(total);
    json["pulls"] = {{"completed", total.pulls()}, {"failed", total.pulls_failed()}, {"whole_s", times_of(total.pull_times())}};
    json["probes"] = Json::array();
    for (const auto& probe : report.probes) json["probes"].push_back(probe_of(probe));
    json["idle"] = {{"held", total.idle_opened}, {"ended_by_server", total.idle_closed}};
    json["connections_opened"] = total.connections;
    json["verified"] = total.verified;
    json["resumed"] = total.resumed;
    json["retried"] = total.retried;
    json["redirected"] = total.redirected;
    json["log_passed_over"] = report.log_passed_over;
    json["asked_within_s"] = seconds_of(total.asked_within);
    json["last_ended_s"] = seconds_of(total.last_ended());
    json["client_cpu_s"] = report.client_cpu_s;
    json["server"] = server_of(report);
    json["series"] = series_of(total.series());
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace entrepot::load
