#include "load/worker.h"

#include "load/pull.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>

namespace entrepot::load {
namespace {

constexpr Duration look_up_from_work = milliseconds(20);  // how soon a stop is seen
constexpr Duration pause_after_failure = milliseconds(10);
constexpr std::size_t opening_max = 128;        // at once: the backlog of a listening socket is not what is measured
constexpr int slow_receive_buffer = 16 * 1024;  // else the kernel reads ahead for a slow reader

Dialer::Options dialer_options(const Plan& plan, const Duty& duty) {
    Dialer::Options options;
    options.reach = &plan.reach;
    options.tls = plan.tls.get();
    options.sources = plan.sources;
    if (plan.options.slow_reader > 0 && !duty.is_probe) options.receive_buffer = slow_receive_buffer;
    return options;
}

/// How many connections a node keeps between requests.
std::size_t kept_by(const Plan& plan, const Duty& duty) {
    const auto& targets = duty.catalogue->targets;
    bool pulls = std::any_of(targets.begin(), targets.end(), [](const Target& target) { return target.is_image; });
    if (pulls) return plan.profile.idle_connections_max;
    constexpr std::size_t kept_for_urls = 4;
    return plan.options.keep_alive ? kept_for_urls : 0;
}

}  // namespace

Worker::Worker(const Plan& plan, const Duty& duty, Control& control)
    : plan_(plan), duty_(duty), control_(control), dialer_(dialer_options(plan, duty)), crew_{plan, dialer_, tally_, live_},
      dice_(plan.options.seed + duty.first_node), turn_(duty.first_node), next_moment_(duty.index) {
    crew_.kept_max = kept_by(plan, duty);
    crew_.slow_reader = duty.is_probe ? 0 : plan.options.slow_reader;
    for (std::size_t index = 0; index < duty.nodes; ++index) {
        bool verifies = plan.options.verify && (duty.is_probe || duty.first_node + index < plan.options.verify_clients);
        nodes_.push_back(std::make_unique<Node>(crew_, verifies));
    }
}

void Worker::run() {
    if (plan_.options.realtime && duty_.mode == Mode::steady) {
        sched_param priority{};
        priority.sched_priority = 1;
        if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
            control_.fail("--realtime needs the right to SCHED_FIFO (CAP_SYS_NICE)");
    }
    prctl(PR_SET_TIMERSLACK, 1);  // a request is due at its moment, not 50 microseconds later
    Ring::Options options;
    options.provided_buffers = 1;  // nobody here receives by multishot
    options.files = false;         // nor names a file through the ring
    auto ring = Ring::open(options);
    if (!ring) return control_.fail(ring.error());
    if (plan_.tls) plan_.tls->prepare();
    Loop loop(std::move(*ring));
    load_on(loop);
}

void Worker::load_on(Loop& loop) {
    tasks_ = std::make_unique<TaskGroup>();
    idle_tasks_ = std::make_unique<TaskGroup>();
    opening_ = std::make_unique<Semaphore>(opening_max, duty_.idle + duty_.nodes + 1);
    auto preparing = prepare();
    while (!preparing.done() && !control_.stopped()) loop.turn(now() + look_up_from_work);
    control_.ready();
    while (control_.starts_at() == Instant::never() && !control_.stopped()) loop.turn(now() + milliseconds(1));
    if (!control_.stopped() && preparing.done()) {
        begin();
        while (!finished()) turn(loop);
    }
    crew_.is_over = true;
    crew_.counts_unfinished = (duty_.is_probe || plan_.counts_unfinished()) && !control_.stopped();
    if (!duty_.is_probe) control_.loads.fetch_sub(1);
    control_.done();
    end_all(loop);
    while (!preparing.done() || !loop.idle() || loop.ring().in_flight() > 0) loop.turn(now() + milliseconds(1));
}

/// Whether its nodes connect before the start, so that connecting is no part of what is measured. Who pulls is a fresh machine,
/// and an open loop connects when it has to.
bool Worker::connects_ahead() const noexcept {
    if (duty_.mode == Mode::at_once) return true;
    return duty_.mode == Mode::closed && plan_.options.keep_alive && !duty_.catalogue->targets[0].is_image;
}

/// Connects what shall be there before the start.
Task<void> Worker::prepare() {
    for (std::size_t index = 0; index < duty_.idle; ++index) idle_tasks_->start(hold_idle());
    if (connects_ahead())
        for (auto& node : nodes_) tasks_->start(connect_node(*node));
    auto patience = 2 * plan_.options.timeout;
    auto give_up = now() + patience;
    bool all = false;
    while (!all && !control_.stopped() && now() < give_up) {
        co_await Sleep(milliseconds(1));
        all = idle_settled_ == duty_.idle && tasks_->running() == 0;
    }
    if (!all && !control_.stopped())
        control_.fail(
            fmt::format("not every connection was open after {:.0f} s", std::chrono::duration<double>(patience).count()));
}

Task<void> Worker::connect_node(Node& node) {
    const auto& target = duty_.catalogue->targets[turn_++ % duty_.catalogue->targets.size()];
    auto forever = Instant::never();
    auto may = co_await opening_->acquire(forever);
    ASSERT(may);
    bool many = duty_.mode == Mode::closed && nodes_.size() > opening_max;
    if (many) co_await greet(node, target);
    else co_await node.connect_ahead(target.url.origin);
    opening_->release();
}

/// A HEAD that nobody counts. Thousands of silent connections would be half open for a server that waits for first bytes (TCP_DEFER_ACCEPT); beyond
/// its backlog the kernel answers with SYN cookies, which remember 1,460 bytes of a loopback's MSS of 65,483 (9,500 connections, 1 MiB each: a
/// third more CPU for a GB). If it fails, the next request tries again, and tells.
Task<void> Worker::greet(Node& node, const Target& target) {
    auto request = url_request(plan_, target.url, true);
    auto asked = co_await node.ask(target.url.origin, request, "\r\n", true);
    if (!asked) co_return;
    Body nothing(Body::Use::drop, tally_, live_);
    static_cast<void>(co_await (*asked)->take(nothing));
    co_await node.done_with(std::move(*asked));
}

void Worker::begin() {
    const auto& options = plan_.options;
    start_ = control_.starts_at();
    tally_.count_from(start_ + options.warmup);
    end_ = start_ + options.warmup + options.duration;
    // What was due while the time ran may still come to its end.
    last_chance_ = duty_.mode == Mode::steady ? end_ + options.timeout : end_;
    turn_ = duty_.first_node;
    while (now() < start_ && !control_.stopped()) Loop::current().turn(start_);
    if (duty_.mode == Mode::closed)
        for (auto& node : nodes_) tasks_->start(keep_asking(*node));
    if (duty_.mode == Mode::at_once) {
        for (auto& node : nodes_) tasks_->start(ask_once(*node, now()));
        tally_.asked_within = now() - start_;
    }
    if (duty_.schedule) moments_ = duty_.schedule->size();
    if (duty_.schedule)
        for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) free_.push_back(node->get());
}

void Worker::turn(Loop& loop) {
    loop.turn(plan_.options.busy_poll ? now() : next_wake());
    if (duty_.is_probe && control_.loads.load(std::memory_order_relaxed) == 0) end_with_load();
    if (duty_.schedule) start_what_is_due();
}

Instant Worker::next_wake() const noexcept {
    auto wake = std::min(now() + look_up_from_work, last_chance_);
    if (duty_.schedule && next_moment_ < moments_ && !free_.empty())
        wake = std::min(wake, start_ + duty_.schedule->due(next_moment_));
    return wake;
}

/// Starts every request whose moment has come while a node is free; what has to wait for one still counts from its moment.
void Worker::start_what_is_due() {
    auto time = now();
    while (next_moment_ < moments_ && !free_.empty()) {
        auto due = start_ + duty_.schedule->due(next_moment_);
        if (due > time) return;
        auto* node = free_.back();
        free_.pop_back();
        auto moment = next_moment_;
        next_moment_ += duty_.stride;
        tasks_->start(serve(*node, due, moment));
    }
}

/// The load is over: what would be due from now on need not be asked, but what was due already has to be answered.
void Worker::end_with_load() {
    auto time = now();
    auto first_later = next_moment_;
    while (first_later < moments_ && start_ + duty_.schedule->due(first_later) <= time) first_later += duty_.stride;
    moments_ = std::min(moments_, first_later);
}

bool Worker::finished() const noexcept {
    if (control_.stopped()) return true;
    auto time = now();
    if (duty_.mode == Mode::idle) return time >= end_;
    if (duty_.mode == Mode::closed && time >= end_) return true;
    if (time >= last_chance_) return true;
    if (duty_.schedule && next_moment_ < moments_) return false;
    return tasks_->running() == 0;
}

/// Whatever is under way ends now, and so do the connections.
void Worker::end_all(Loop& loop) {
    bool was_late = duty_.schedule && crew_.counts_unfinished && start_ != Instant{} && next_moment_ < moments_;
    if (was_late) tally_.failed(Trouble::not_finished, 0, now(), (moments_ - 1 - next_moment_) / duty_.stride + 1);
    dialer_.interrupt();
    for (auto* connection = crew_.open.front(); connection; connection = crew_.open.after(*connection)) connection->interrupt();
    crew_.over.notify_all();
    while (tasks_->running() > 0 || idle_tasks_->running() > 0) loop.turn(now() + milliseconds(1));
    for (auto& node : nodes_) {
        auto closing = node->close();
        while (!closing.done()) loop.turn(now() + milliseconds(1));
    }
}

std::size_t Worker::choose() noexcept {
    const auto& catalogue = *duty_.catalogue;
    if (catalogue.popularity) return catalogue.popularity->draw(dice_);
    return turn_++ % catalogue.targets.size();
}

Task<void> Worker::keep_asking(Node& node) {
    while (!crew_.is_over) {
        if (plan_.options.requests > 0 && control_.left.fetch_sub(1, std::memory_order_relaxed) <= 0) co_return;
        auto index = choose();
        const auto& target = duty_.catalogue->targets[index];
        auto begun = now();
        auto done = co_await work(node, target, duty_.catalogue->requests[index], begun);
        if (done || crew_.is_over) continue;
        auto until = Loop::current().time() + pause_after_failure;
        co_await crew_.over.wait(until);
    }
}

Task<void> Worker::ask_once(Node& node, Instant due) {
    auto index = choose();
    auto done = co_await work(node, duty_.catalogue->targets[index], duty_.catalogue->requests[index], due);
    static_cast<void>(done);
}

Task<void> Worker::serve(Node& node, Instant due, std::size_t moment) {
    const auto* logged = duty_.schedule->logged(moment);
    if (logged) co_await replay(node, *logged, due);
    else co_await ask_once(node, due);
    free_.push_back(&node);
}

Task<bool> Worker::work(Node& node, const Target& target, std::string_view request, Instant due) {
    if (target.is_image) co_return co_await pull_image(node, target, due);
    co_return co_await node.get(target, request, due, plan_.options.head && !duty_.is_probe, 0);
}

/// The log's own path, or the target that stands for its object.
Task<void> Worker::replay(Node& node, const LoggedRequest& logged, Instant due) {
    const auto& targets = duty_.catalogue->targets;
    const auto& model = targets[logged.object % targets.size()];
    bool done = false;
    if (!plan_.replays_paths && model.is_image) {
        done = co_await pull_image(node, model, due);
    } else {
        Target target;
        target.url = model.url;
        target.digest = model.digest;
        std::string_view path = plan_.log->paths[logged.object];
        if (plan_.replays_paths) {
            auto question = path.find('?');
            target.url.path = path.substr(0, question);
            target.url.query = question == path.npos ? std::string() : std::string(path.substr(question + 1));
            if (auto name = path.rfind('/'); name != path.npos) target.digest = Digest::parse(path.substr(name + 1));
        }
        auto request = url_request(plan_, target.url, logged.head);
        done = co_await node.get(target, request, due, logged.head, logged.status >= 400 ? logged.status : 0);
    }
    static_cast<void>(done);
}

/// One connection that asks once and then stays until the end.
Task<void> Worker::hold_idle() {
    auto forever = Instant::never();
    auto may = co_await opening_->acquire(forever);
    ASSERT(may);
    const auto& target = duty_.catalogue->targets[0];
    auto request = url_request(plan_, target.url, true);
    Node node(crew_, false);
    auto asked = co_await node.ask(target.url.origin, request, "\r\n", true);
    opening_->release();
    ++idle_settled_;
    if (!asked) co_return node.note(Failed{asked.error()});
    auto connection = std::move(*asked);
    ++tally_.idle_opened;
    Body nothing(Body::Use::drop, tally_, live_);
    auto trouble = co_await connection->take(nothing);
    if (!trouble) {
        bool ended = co_await connection->until_ended();
        if (ended && !crew_.is_over) ++tally_.idle_closed;
    }
    connection->unlink();
    co_await connection->close();
}

}  // namespace entrepot::load
