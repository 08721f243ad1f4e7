#pragma once
// One thread of the load: a loop, its nodes, and what they did. It connects ahead, waits for the common start, asks as its duty
// says, and ends when that is done or the time is over.
//
//   preparing ──connected──> ready ──start──> loading ──done, out of time, stopped──> over

#include "load/control.h"
#include "load/node.h"

#include <memory>
#include <vector>

namespace entrepot::load {

/// This worker's part of the plan.
struct Duty {
    Mode mode = Mode::closed;
    const Catalogue* catalogue = nullptr;
    const Schedule* schedule = nullptr;  ///< of an open loop
    std::size_t index = 0, stride = 1;   ///< it serves every stride-th moment of the schedule, and targets, from `index` on
    std::size_t nodes = 1;
    std::size_t first_node = 0;  ///< among all workers
    std::size_t idle = 0;
    bool is_probe = false;
};

class Worker {
  public:
    Worker(const Plan& plan, const Duty& duty, Control& control);

    /// The thread's whole life.
    void run();
    const Live& live() const noexcept { return live_; }
    /// After run().
    const Tally& tally() const noexcept { return tally_; }

  private:
    void load_on(Loop& loop);
    bool connects_ahead() const noexcept;
    Task<void> prepare();
    void begin();
    void turn(Loop& loop);
    Instant next_wake() const noexcept;
    void start_what_is_due();
    void end_with_load();
    bool finished() const noexcept;
    void end_all(Loop& loop);

    Task<void> keep_asking(Node& node);
    Task<void> ask_once(Node& node, Instant due);
    Task<void> serve(Node& node, Instant due, std::size_t moment);
    Task<bool> work(Node& node, const Target& target, std::string_view request, Instant due);
    Task<void> replay(Node& node, const LoggedRequest& logged, Instant due);
    Task<void> connect_node(Node& node);
    Task<void> greet(Node& node, const Target& target);
    Task<void> hold_idle();
    std::size_t choose() noexcept;
    Node& node_at(std::size_t index) noexcept { return *nodes_[index]; }

    const Plan& plan_;
    Duty duty_;
    Control& control_;
    Live live_;
    Tally tally_;
    Dialer dialer_;
    Crew crew_;
    std::vector<std::unique_ptr<Node>> nodes_;
    std::vector<Node*> free_;  // nodes of an open loop that have nothing to do
    Dice dice_;
    std::size_t turn_ = 0;         // of the targets
    std::size_t next_moment_ = 0;  // of the schedule
    std::size_t moments_ = 0;      // of the schedule that count; a probe's end with the load
    std::size_t idle_settled_ = 0;
    Instant start_{}, end_{}, last_chance_{};
    std::unique_ptr<Semaphore> opening_;  // how many connect ahead at once
    std::unique_ptr<TaskGroup> tasks_, idle_tasks_;
};

}  // namespace entrepot::load
