#include "world.h"

#include "ring_sim.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace entrepot::sim {
namespace {

World* current_world = nullptr;

constexpr std::int64_t wall_seconds_at_start = 1'760'000'000;
constexpr std::size_t notes_kept = 256;
constexpr std::uint64_t turn_cost_ns_max = 8'000;
constexpr unsigned lane_threads[lane_count] = {1, 4, 2};  // as in src/io/blocking_threads.cpp

}  // namespace

void violation(const std::string& what) {
    std::fprintf(stderr, "simulation: %s\n", what.c_str());
    if (World::exists()) {
        World::current().print_last_notes();
        std::fprintf(stderr, "live tasks:\n");
        print_live_tasks();
    }
    std::fflush(nullptr);
    std::abort();
}

World::World(std::uint64_t seed, const Faults& what_fails)
    : faults(what_fails), random(seed), product_random(random.fork()), seed_(seed) {
    ASSERT(!current_world);
    current_world = this;
}

World::~World() { current_world = nullptr; }

World& World::current() {
    ASSERT(current_world);
    return *current_world;
}

bool World::exists() { return current_world != nullptr; }

std::int64_t World::wall_microseconds() const { return wall_seconds_at_start * 1'000'000 + time_.ns / 1'000; }

void World::at(Instant when, std::function<void()> what) {
    // Events of one instant happen in the order in which they were made; chance enters through the instants.
    events_.push({std::max(when, time_), next_order_++, std::move(what)});
}

bool World::strikes(double probability, const char* fault) {
    if (!random.chance(probability)) return false;
    count_injected(fault);
    return true;
}

Duration World::disk_delay() {
    if (strikes(faults.long_delay, "long delay of a disk")) return random.span({}, faults.long_delay_max);
    return random.span({}, faults.disk_delay_max);
}

Duration World::network_delay() {
    if (strikes(faults.long_delay, "long delay of the network")) return random.span({}, faults.long_delay_max);
    return random.span({}, faults.network_delay_max);
}

void World::attach(Loop& loop) { loops_.push_back(&loop); }

void World::detach(Loop& loop) { std::erase(loops_, &loop); }

bool World::runnable(Loop& loop) const {
    return !loop.idle() || static_cast<SimRing&>(loop.ring()).has_news() || loop.timers().next_due() <= time_;
}

bool World::step() {
    std::vector<Loop*> candidates;
    for (auto* loop : loops_) {
        if (runnable(*loop)) candidates.push_back(loop);
    }
    bool event_due = !events_.empty() && events_.top().when <= time_;
    if (candidates.empty() && !event_due) return jump();
    ++steps_;
    auto choice = random.below(candidates.size() + (event_due ? 1 : 0));
    if (choice == candidates.size()) {
        auto what = std::move(const_cast<Event&>(events_.top()).what);
        events_.pop();
        what();
        return true;
    }
    candidates[choice]->enter();
    candidates[choice]->turn(time_);
    time_ = time_ + Duration(static_cast<std::int64_t>(1 + random.below(turn_cost_ns_max)));
    return true;
}

/// To the next thing that can happen; false when there is none.
bool World::jump() {
    Instant next = events_.empty() ? Instant::never() : events_.top().when;
    for (auto* loop : loops_) next = std::min(next, loop->timers().next_due());
    if (next == Instant::never()) return false;
    time_ = std::max(time_, next);
    return true;
}

World::Outcome World::run_until(const std::function<bool()>& done, Instant limit, std::uint64_t steps_max) {
    auto last_step = steps_ + steps_max;
    while (!done()) {
        if (!step()) return Outcome::stuck;
        if (time_ > limit) return Outcome::out_of_time;
        if (steps_ > last_step) return Outcome::out_of_steps;
    }
    return Outcome::done;
}

int World::add(Descriptor descriptor) {
    int fd = next_descriptor_++;
    if (descriptor.process.empty()) descriptor.process = process;
    descriptors_.emplace(fd, std::move(descriptor));
    return fd;
}

Descriptor& World::descriptor(int fd) {
    auto found = descriptors_.find(fd);
    if (found == descriptors_.end()) violation(fmt::format("descriptor {} is used but not open", fd));
    return found->second;
}

void World::close(int fd) {
    auto& closing = descriptor(fd);
    if (closing.in_flight > 0)
        violation(fmt::format("descriptor {} is closed with {} operations in flight", fd, closing.in_flight));
    if (closing.socket) network.close(closing.socket);
    if (closing.inode) closing.disk->closed(*closing.inode);
    descriptors_.erase(fd);
}

std::size_t World::open_descriptors(const std::string& owner) const {
    return static_cast<std::size_t>(std::count_if(descriptors_.begin(), descriptors_.end(),
                                                  [&](const auto& entry) { return entry.second.process == owner; }));
}

void World::print_open_descriptors(const std::string& owner) const {
    for (const auto& [fd, open] : descriptors_) {
        if (open.process != owner) continue;
        std::fprintf(stderr, "  descriptor %d: %s\n", fd,
                     open.socket                ? "socket"
                     : open.inode->is_directory ? "directory"
                                                : "file");
    }
}

int World::open_root(Disk& disk) {
    ++disk.root()->opens;
    Descriptor root;
    root.inode = disk.root();
    root.disk = &disk;
    return add(std::move(root));
}

bool World::is_locked(const Inode& directory) const {
    return std::any_of(descriptors_.begin(), descriptors_.end(),
                       [&](const auto& entry) { return entry.second.locked && entry.second.inode.get() == &directory; });
}

Disk& World::add_disk(const std::string& path, std::uint64_t capacity) {
    auto& disk = disks[path];
    disk = std::make_unique<Disk>(path, capacity);
    return *disk;
}

std::uint64_t World::add_ring(SimRing& ring) {
    rings_[next_ring_] = &ring;
    return next_ring_++;
}

SimRing* World::ring(std::uint64_t number) const {
    auto found = rings_.find(number);
    return found == rings_.end() ? nullptr : found->second;
}

void World::give_to_lane(Lane lane, BlockingJob& job) {
    ++jobs_waiting_;
    lanes_[static_cast<int>(lane)].push_back(&job);
    run_lane(lane);
}

/// Starts waiting jobs while the lane has a free thread. A job's effect comes at the end of its drawn time; the ledger's single thread keeps the order.
void World::run_lane(Lane lane) {
    auto index = static_cast<int>(lane);
    while (!lanes_[index].empty() && lane_running_[index] < lane_threads[index]) {
        auto* job = lanes_[index].front();
        lanes_[index].pop_front();
        ++lane_running_[index];
        after(disk_delay(), [this, lane, index, job] {
            job->work(*job);
            if (lane == Lane::ledger) ++disk_steps;
            --jobs_waiting_;
            --lane_running_[index];
            job->origin->post(*job);
            run_lane(lane);
        });
    }
}

void World::note(const char* what, std::uint64_t a, std::uint64_t b) {
    auto mix = [this](std::uint64_t word) { history_ = (history_ ^ word) * 0x100000001b3; };
    mix(static_cast<std::uint64_t>(time_.ns));
    mix(a);
    mix(b);
    for (const char* letter = what; *letter; ++letter) mix(static_cast<unsigned char>(*letter));
    if (verbose)
        std::fprintf(stderr, "%12.6f %s %llu %lld\n", static_cast<double>(time_.ns % 1'000'000'000'000) / 1e9, what,
                     static_cast<unsigned long long>(a), static_cast<long long>(b));
    notes_.push_back({time_, what, a, b});
    if (notes_.size() > notes_kept) notes_.pop_front();
}

void World::print_last_notes() const {
    if (verbose) return;
    std::fprintf(stderr, "the last events (seconds, what, numbers):\n");
    for (const auto& note : notes_) {
        std::fprintf(stderr, "%12.6f %s %llu %lld\n", static_cast<double>(note.when.ns % 1'000'000'000'000) / 1e9, note.what,
                     static_cast<unsigned long long>(note.a), static_cast<long long>(note.b));
    }
}

}  // namespace entrepot::sim
