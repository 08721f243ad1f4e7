#include "load/run.h"

#include "load/cpu_meter.h"
#include "load/progress.h"
#include "load/worker.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <deque>
#include <thread>

namespace entrepot::load {
namespace {

constexpr Duration look_up_time = milliseconds(50);  // how soon a signal is seen
constexpr Duration start_delay = milliseconds(5);    // so that every worker knows the start before it comes
constexpr std::size_t probe_nodes = 256;             // at most that many probes of one URL wait at once

volatile std::sig_atomic_t signalled = 0;

void watch_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    for (int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { signalled = 1; });
}

/// The k-th of `parts` nearly equal parts of `whole`.
std::size_t part_of(std::size_t whole, std::size_t parts, std::size_t k) { return whole / parts + (k < whole % parts ? 1 : 0); }

class Run {
  public:
    explicit Run(const Plan& plan) : plan_(plan) {}
    Result<Report, std::string> run();

  private:
    void deal_duties();
    void start_threads();
    bool wait_ready();
    void wait_for_window();
    void watch();
    bool wait_done(Instant until);
    Report report();
    Duration expected_length() const noexcept;

    const Plan& plan_;
    Control control_;
    std::vector<Schedule> probe_schedules_;
    std::deque<Worker> workers_;  // the probes' come last
    std::vector<std::thread> threads_;
    std::vector<const Live*> lives_;
    std::unique_ptr<Progress> progress_;
    std::unique_ptr<CpuMeter> cpu_;
    Instant start_{}, end_{};
    bool stopped_ = false;
};

void Run::deal_duties() {
    const auto& options = plan_.options;
    auto threads = std::min(options.threads, std::max<std::size_t>(plan_.nodes(), 1));
    bool scheduled = options.mode == Mode::steady || options.mode == Mode::storm || options.mode == Mode::replay;
    Duty duty;
    duty.mode = options.mode;
    duty.catalogue = &plan_.catalogue;
    duty.schedule = scheduled ? &plan_.schedule : nullptr;
    duty.stride = threads;
    for (std::size_t index = 0; index < threads; ++index) {
        duty.index = index;
        duty.nodes = options.mode == Mode::idle ? 0 : part_of(plan_.nodes(), threads, index);
        duty.idle = part_of(options.idle, threads, index);
        workers_.emplace_back(plan_, duty, control_);
        lives_.push_back(&workers_.back().live());
        duty.first_node += duty.nodes;
    }
    control_.loads = threads;
    probe_schedules_.reserve(plan_.probes.size());
    for (const auto& probe : plan_.probes) {
        probe_schedules_.push_back(Schedule::steady(options.probe_rate, options.warmup + options.duration));
        Duty probing;
        probing.mode = Mode::steady;
        probing.catalogue = &probe;
        probing.schedule = &probe_schedules_.back();
        probing.nodes = probe_nodes;
        probing.is_probe = true;
        workers_.emplace_back(plan_, probing, control_);
    }
}

void Run::start_threads() {
    for (auto& worker : workers_) threads_.emplace_back([&worker] { worker.run(); });
}

bool Run::wait_ready() {
    while (!signalled && control_.failure().empty())
        if (control_.wait_ready(workers_.size(), now() + look_up_time)) return control_.failure().empty();
    control_.stop();
    return false;
}

bool Run::wait_done(Instant until) { return control_.wait_done(workers_.size(), until); }

Duration Run::expected_length() const noexcept {
    if (plan_.options.mode == Mode::replay || plan_.options.mode == Mode::storm) return plan_.schedule.length();
    return plan_.counts_unfinished() && plan_.options.mode != Mode::steady ? Duration(0) : plan_.options.duration;
}

/// Until all are done, telling what goes on.
void Run::watch() {
    auto window_end = start_ + plan_.options.warmup + plan_.options.duration;
    bool warm = plan_.options.warmup == Duration(0);
    end_ = Instant::never();
    for (;;) {
        auto until = now() + look_up_time;
        auto mark = warm ? window_end : start_ + plan_.options.warmup;
        if (mark > now()) until = std::min(until, mark);
        bool all_done = wait_done(until);
        if (!warm && now() >= start_ + plan_.options.warmup) {
            cpu_->start();
            warm = true;
        }
        // A loop that is measured by the clock ends with it; others end when the last answer is there.
        bool over = all_done || (now() >= window_end && end_ == Instant::never());
        if (over && end_ == Instant::never()) {
            end_ = now();
            cpu_->stop();
        }
        if (all_done || !control_.failure().empty()) return;
        if (signalled && !stopped_) {
            stopped_ = true;
            control_.stop();
        }
        progress_->tell(now() - start_, expected_length());
    }
}

Report Run::report() {
    Report report;
    const auto& targets = plan_.catalogue.targets;
    report.options = plan_.options;
    report.target = targets.front().text;
    if (targets.size() > 1) report.target += fmt::format(" and {} more", targets.size() - 1);
    report.nodes = plan_.options.mode == Mode::idle ? plan_.options.idle : plan_.nodes();
    report.stopped = stopped_;
    report.client_cpu_s = cpu_->own();
    report.server_cpu_s = cpu_->servers();
    report.log_passed_over = plan_.log ? plan_.log->passed_over : 0;
    for (std::size_t index = 0; index < lives_.size(); ++index) report.total.add(workers_[index].tally());
    for (std::size_t index = 0; index < plan_.probes.size(); ++index)
        report.probes.push_back(
            {plan_.probes[index].targets[0].text, plan_.options.probe_rate, workers_[lives_.size() + index].tally()});
    auto left = control_.left.load();
    if (plan_.options.requests > 0 && left > 0 && !stopped_)
        report.total.failed(Trouble::not_finished, 0, end_, static_cast<std::uint64_t>(left));
    auto counted_from = start_ + plan_.options.warmup;
    report.window = std::max(end_ - counted_from, Duration(1));
    // Answers of an open loop may come after their time.
    if (plan_.options.mode == Mode::steady && !stopped_)
        report.window = std::max(plan_.options.duration, report.total.last_ended());
    return report;
}

Result<Report, std::string> Run::run() {
    auto meter = CpuMeter::of(plan_.options.server_pids);
    if (!meter) return meter.error();
    cpu_ = std::make_unique<CpuMeter>(std::move(*meter));
    watch_signals();
    if (plan_.options.requests > 0) control_.left = static_cast<std::int64_t>(plan_.options.requests);
    deal_duties();
    progress_ = std::make_unique<Progress>(plan_.options.quiet, lives_);
    start_threads();
    bool ready = wait_ready();
    if (ready) {
        if (plan_.options.idle > 0 && !plan_.options.quiet) std::fprintf(stderr, "idle connections are open\n");
        start_ = now() + start_delay;
        cpu_->start();
        control_.start_at(start_);
        watch();
        progress_->end();
    }
    if (!control_.failure().empty()) control_.stop();
    for (auto& thread : threads_) thread.join();
    if (auto failure = control_.failure(); !failure.empty()) return failure;
    if (!ready) return std::string("stopped before the load began");
    return report();
}

}  // namespace

Result<Report, std::string> run_load(const Plan& plan) { return Run(plan).run(); }

}  // namespace entrepot::load
