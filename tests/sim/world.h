#pragma once
// One run: virtual time, everything that will happen in it, and every loop that takes part, in one thread and from one seed.
//
//   step(): an event that is due, or one turn of a loop that has something to do, picked at random; when there is neither, time jumps to the next.
//
// The seams of the program (clock, randomness, ring, blocking lanes, name lookup) ask World::current(). A turn costs a few virtual microseconds, so that a loop which
// never waits cannot stop time.

#include "entrepot/io/blocking.h"
#include "entrepot/io/loop.h"

#include "disk.h"
#include "faults.h"
#include "network.h"
#include "random.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

namespace entrepot::sim {

class SimRing;

/// Prints what broke, the seed and the last notes of the run, and aborts: the simulated kernel was misused, or a checker failed.
[[noreturn]] void violation(const std::string& what);

/// A descriptor of the simulated machine. Numbers are never used twice, so that any use after close is found.
struct Descriptor {
    SocketRef socket;
    InodeRef inode;
    Disk* disk = nullptr;
    std::uint32_t flags = 0;
    unsigned in_flight = 0;
    bool locked = false;  ///< holds its directory's flock
    std::string process;
};

class World {
  public:
    static constexpr int first_descriptor = 1 << 20;

    World(std::uint64_t seed, const Faults& faults);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    static World& current();
    static bool exists();

    std::uint64_t seed() const { return seed_; }
    Instant time() const { return time_; }
    std::int64_t wall_microseconds() const;
    /// Before anything happened: the run begins later.
    void skip_to(Instant time) { time_ = time; }

    void at(Instant when, std::function<void()> what);
    void after(Duration delay, std::function<void()> what) { at(time_ + delay, std::move(what)); }
    /// Draws whether a fault strikes, and counts it when it does: the report shows that each kind was injected.
    bool strikes(double probability, const char* fault);
    void count_injected(const char* fault, std::uint64_t times = 1) { counts[std::string("injected: ") + fault] += times; }
    /// A delay for one disk or network request under the run's faults.
    Duration disk_delay();
    Duration network_delay();

    /// A loop takes part from attach() to detach().
    void attach(Loop& loop);
    void detach(Loop& loop);

    enum class Outcome { done, stuck, out_of_time, out_of_steps };
    /// Steps until `done()`; stuck when nothing can ever happen again.
    Outcome run_until(const std::function<bool()>& done, Instant limit, std::uint64_t steps_max = 20'000'000);
    std::uint64_t steps() const { return steps_; }

    // Descriptors.
    int add(Descriptor descriptor);
    /// Aborts the run when the descriptor is not open: nobody may use a closed one.
    Descriptor& descriptor(int fd);
    bool is_open(int fd) const { return descriptors_.contains(fd); }
    void close(int fd);
    std::size_t open_descriptors(const std::string& process) const;
    void print_open_descriptors(const std::string& process) const;
    int open_root(Disk& disk);
    bool is_locked(const Inode& directory) const;

    // Rings, found by number from events that may outlive them.
    std::uint64_t add_ring(SimRing& ring);
    void remove_ring(std::uint64_t number) { rings_.erase(number); }
    SimRing* ring(std::uint64_t number) const;

    // Blocking lanes.
    void give_to_lane(Lane lane, BlockingJob& job);
    std::size_t jobs_waiting() const { return jobs_waiting_; }

    /// Adds to the run's log, whose hash tells whether two runs were the same. Printed when `verbose`.
    void note(const char* what, std::uint64_t a = 0, std::uint64_t b = 0);
    std::uint64_t history() const { return history_; }
    void print_last_notes() const;

    Faults faults;
    Random random;          ///< order, delays, faults
    Random product_random;  ///< what random_bits() gives to the program
    Network network{*this};
    std::map<std::string, std::unique_ptr<Disk>> disks;
    /// Where the files of a volume's path live; the program's paths are absolute.
    Disk& add_disk(const std::string& path, std::uint64_t capacity);
    std::map<std::string, std::vector<std::string>> names;  ///< host name -> IP addresses
    std::string process = "outside";                        ///< to whom rings and descriptors made now belong
    std::map<std::string, std::uint64_t> counts;            ///< what happened how often, for the report
    std::uint64_t disk_steps = 0;                           ///< effects on disks and ledger so far
    bool verbose = false;

  private:
    struct Event {
        Instant when;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const Event& other) const { return when != other.when ? when > other.when : order > other.order; }
    };
    bool step();
    bool runnable(Loop& loop) const;
    bool jump();
    void run_lane(Lane lane);

    std::uint64_t seed_;
    Instant time_{1'000'000'000'000};
    std::priority_queue<Event> events_;
    std::uint64_t next_order_ = 0;
    std::uint64_t steps_ = 0;
    std::vector<Loop*> loops_;
    std::map<int, Descriptor> descriptors_;
    int next_descriptor_ = first_descriptor;
    std::map<std::uint64_t, SimRing*> rings_;
    std::uint64_t next_ring_ = 1;

    std::deque<BlockingJob*> lanes_[lane_count];
    unsigned lane_running_[lane_count] = {};
    std::size_t jobs_waiting_ = 0;

    struct Note {
        Instant when;
        const char* what;
        std::uint64_t a, b;
    };
    std::deque<Note> notes_;
    std::uint64_t history_ = 0xcbf29ce484222325;
};

/// Rings and descriptors made in this scope belong to `name`.
class ProcessScope {
  public:
    explicit ProcessScope(const std::string& name) : before_(std::exchange(World::current().process, name)) {}
    ~ProcessScope() { World::current().process = before_; }

  private:
    std::string before_;
};

}  // namespace entrepot::sim
