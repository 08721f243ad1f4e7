#include "entrepot/io/blocking.h"

#include "entrepot/base/start_thread.h"

#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace entrepot {
namespace {

/// One queue and the threads that empty it.
class LaneThreads {
  public:
    void start(unsigned count, int niceness) {
        ending_ = false;
        for (unsigned i = 0; i < count; ++i) {
            threads_.push_back(start_thread([this, niceness] {
                // Of this thread alone, as Linux has it (nptl(7)). Whoever may not be nicer is as he was.
                if (niceness > 0) (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
                work();
            }));
        }
    }

    void stop() noexcept {
        {
            std::lock_guard guard(lock_);
            ending_ = true;
        }
        changed_.notify_all();
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }

    void give(BlockingJob& job) noexcept {
        job.next_job = nullptr;
        {
            std::lock_guard guard(lock_);
            ASSERT(!threads_.empty());
            if (last_) last_->next_job = &job;
            else first_ = &job;
            last_ = &job;
        }
        changed_.notify_one();
    }

  private:
    BlockingJob* take() {
        std::unique_lock guard(lock_);
        changed_.wait(guard, [this] { return first_ || ending_; });
        auto* job = first_;
        if (!job) return nullptr;
        first_ = job->next_job;
        if (!first_) last_ = nullptr;
        return job;
    }

    void work() {
        while (auto* job = take()) {
            job->work(*job);
            job->origin->post(*job);
        }
    }

    std::mutex lock_;
    std::condition_variable changed_;
    BlockingJob* first_ = nullptr;
    BlockingJob* last_ = nullptr;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

constexpr int niceness[lane_count] = {0, 0, 10};  // at 10 a shard gets nine times the time of such a thread under load
LaneThreads lanes[lane_count];

}  // namespace

void give_to_lane(Lane lane, BlockingJob& job) noexcept { lanes[static_cast<int>(lane)].give(job); }

void start_lanes() {
    for (std::size_t lane = 0; lane < lane_count; ++lane) lanes[lane].start(lane_threads[lane], niceness[lane]);
}

void stop_lanes() noexcept {
    for (auto& lane : lanes) lane.stop();
}

}  // namespace entrepot
