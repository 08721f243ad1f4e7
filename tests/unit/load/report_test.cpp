#include "load/report.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <memory>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

namespace {

constexpr Instant start{1'000'000'000'000};

std::unique_ptr<Report> sample() {
    auto report = std::make_unique<Report>();
    report->options.mode = Mode::closed;
    report->options.duration = 2s;
    report->target = "http://127.0.0.1:5000/<b>";
    report->nodes = 64;
    report->window = 2s;
    report->total.count_from(start);
    for (int count = 0; count < 1000; ++count) {
        auto due = start + count * 2ms;
        report->total.answered({Kind::blob, 200, 1'000'000, due, due + 1ms, due + 3ms});
        report->total.add_bytes(1'000'000, due);
    }
    report->total.connections = 64;
    report->server_cpu_s = 0.5;
    return report;
}

}  // namespace

TEST_CASE("report: the JSON has the shape that is promised") {
    auto json = nlohmann::json::parse(json_of(*sample()));
    for (const char* key : {"tool",
                            "shape",
                            "mode",
                            "target",
                            "client",
                            "connections",
                            "threads",
                            "window_s",
                            "stopped",
                            "completed",
                            "failed",
                            "requests_per_s",
                            "bytes",
                            "bytes_per_s",
                            "statuses",
                            "errors",
                            "first_byte_s",
                            "whole_s",
                            "kinds",
                            "pulls",
                            "probes",
                            "idle",
                            "connections_opened",
                            "verified",
                            "resumed",
                            "retried",
                            "redirected",
                            "log_passed_over",
                            "asked_within_s",
                            "last_ended_s",
                            "client_cpu_s",
                            "server",
                            "series"}) {
        CAPTURE(key);
        CHECK(json.contains(key));
    }
    CHECK(json["shape"] == 1);
    CHECK(json["completed"] == 1000);
    CHECK(json["requests_per_s"] == 500.0);
    CHECK(json["bytes_per_s"] == 500e6);
    CHECK(json["statuses"] == nlohmann::json{{"200", 1000}});
    for (const char* key : {"samples", "min", "mean", "p50", "p90", "p99", "p99_9", "max"}) CHECK(json["whole_s"].contains(key));
    CHECK(json["whole_s"]["max"] == 0.003);
    CHECK(json["kinds"]["blob"]["completed"] == 1000);
    CHECK(json["server"]["cpu_us_per_request"] == 500.0);
    CHECK(json["server"]["cpu_s_per_gb"] == 0.5);
    CHECK(json["series"]["interval_s"] == 0.1);
    CHECK(json["series"]["requests"].size() == json["series"]["bytes"].size());
}

TEST_CASE("report: all is well only when every answer was, and there was one") {
    auto report = sample();
    CHECK(report->all_well());
    report->total.failed(Trouble::short_body, 0, start);
    CHECK(!report->all_well());
    auto nothing = std::make_unique<Report>();
    CHECK(!nothing->all_well());
    nothing->options.mode = Mode::idle;
    CHECK(nothing->all_well());
    nothing->total.idle_closed = 1;
    CHECK(!nothing->all_well());
    auto probed = sample();
    probed->probes.emplace_back();
    CHECK(!probed->all_well());
    probed->probes[0].tally.answered({Kind::url, 200, 1, start, start, start});
    CHECK(probed->all_well());
    probed->probes[0].tally.failed(Trouble::status, 503, start);
    CHECK(!probed->all_well());
}

TEST_CASE("report: the table says what was asked, what came, and what it cost") {
    auto report = sample();
    report->total.failed(Trouble::short_body, 0, start);
    auto table = table_of(*report);
    for (const char* part :
         {"closed loop of 64", "1,000 complete, 500 a second, over 64 connections", "0.500 GB/s", "200: 1,000",
          "1 (short_body: 1)", "0.50 s, 500.00 us a request, 0.500 s a GB", "first byte", "whole answer", "p99.9"}) {
        CAPTURE(part);
        CHECK(table.find(part) != std::string::npos);
    }
}

TEST_CASE("report: picture and page stand on their own and trust no text") {
    auto report = sample();
    auto svg = svg_of(*report);
    CHECK(svg.find("<svg ") == 0);
    CHECK(svg.find("&lt;b&gt;") != std::string::npos);
    CHECK(svg.find("<b>") == std::string::npos);
    for (const char* part : {">Answers<", ">Throughput<", ">Latency by percentile<", ">99 %<", ">99.9 %<", ">whole answer<"}) {
        CAPTURE(part);
        CHECK(svg.find(part) != std::string::npos);
    }
    auto html = html_of(*report);
    CHECK(html.find("<b>") == std::string::npos);
    CHECK(html.find("<svg ") != std::string::npos);
    CHECK(html.find("http://www.w3.org/2000/svg") != std::string::npos);
    CHECK(html.find("src=") == std::string::npos);
    // Nothing measured is no reason to fail.
    Report empty;
    CHECK(svg_of(empty).find("</svg>") != std::string::npos);
    CHECK(!table_of(empty).empty());
}

TEST_CASE("report: times for people have three digits") {
    CHECK(time_for_people(0ns) == "0 ns");
    CHECK(time_for_people(999ns) == "999 ns");
    CHECK(time_for_people(1234ns) == "1.23 us");
    CHECK(time_for_people(45'600us) == "45.6 ms");
    CHECK(time_for_people(2500ms) == "2.50 s");
    CHECK(time_for_people(10min) == "600 s");
}
