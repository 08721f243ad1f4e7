#pragma once
// The contestants of eviction_bench: LRU, SIEVE and S3-FIFO over numbered objects, all accounted in bytes. They are written
// to be read and compared, not to be used: the server's own structure is store/eviction.h.

#include <cstdint>
#include <string>
#include <vector>

namespace entrepot::bench {

using ObjectId = std::uint32_t;

/// What all contestants share: sizes, who is inside, and doubly linked queues over object numbers.
class Policy {
  public:
    Policy(std::string name, std::uint64_t capacity_bytes, const std::vector<std::uint64_t>& sizes)
        : capacity_bytes_(capacity_bytes), sizes_(sizes), links_(sizes.size()), name_(std::move(name)) {}
    virtual ~Policy() = default;

    /// True for a hit. A missed object is stored, after room was made as in the server, unless it is larger than the capacity.
    bool request(ObjectId id) {
        if (links_[id].inside) {
            hit(id);
            return true;
        }
        if (sizes_[id] > capacity_bytes_) return false;
        while (bytes_used_ + sizes_[id] > capacity_bytes_) evict_one();
        bytes_stored_ += sizes_[id];
        store(id);
        return false;
    }
    const std::string& name() const { return name_; }
    std::uint64_t bytes_stored() const { return bytes_stored_; }  ///< written to disk so far

  protected:
    static constexpr ObjectId none = UINT32_MAX;
    struct Link {
        ObjectId newer = none;
        ObjectId older = none;
        std::uint8_t frequency = 0;
        bool inside = false;
    };
    struct Queue {
        ObjectId newest = none;
        ObjectId oldest = none;
        std::uint64_t bytes = 0;
    };

    virtual void hit(ObjectId id) = 0;
    virtual void store(ObjectId id) = 0;
    virtual void evict_one() = 0;

    void push(Queue& queue, ObjectId id) {
        Link& link = links_[id];
        link.newer = none;
        link.older = queue.newest;
        (queue.newest == none ? queue.oldest : links_[queue.newest].newer) = id;
        queue.newest = id;
        queue.bytes += sizes_[id];
        bytes_used_ += sizes_[id];
        link.inside = true;
    }
    void take(Queue& queue, ObjectId id) {
        Link& link = links_[id];
        (link.newer == none ? queue.newest : links_[link.newer].older) = link.older;
        (link.older == none ? queue.oldest : links_[link.older].newer) = link.newer;
        queue.bytes -= sizes_[id];
        bytes_used_ -= sizes_[id];
        link.inside = false;
    }

    std::uint64_t capacity_bytes_;
    std::uint64_t bytes_used_ = 0;
    const std::vector<std::uint64_t>& sizes_;
    std::vector<Link> links_;

  private:
    std::string name_;
    std::uint64_t bytes_stored_ = 0;
};

/// Least recently used goes first.
class Lru final : public Policy {
  public:
    Lru(std::uint64_t capacity_bytes, const std::vector<std::uint64_t>& sizes) : Policy("LRU", capacity_bytes, sizes) {}

  private:
    void hit(ObjectId id) override {
        take(queue_, id);
        push(queue_, id);
    }
    void store(ObjectId id) override { push(queue_, id); }
    void evict_one() override { take(queue_, queue_.oldest); }

    Queue queue_;
};

/// SIEVE (NSDI'24): one queue in order of arrival; a hand walks from old to new, forgives what was visited, and evicts the
/// first object that was not. Objects keep their place.
class Sieve final : public Policy {
  public:
    Sieve(std::uint64_t capacity_bytes, const std::vector<std::uint64_t>& sizes) : Policy("SIEVE", capacity_bytes, sizes) {}

  private:
    void hit(ObjectId id) override { links_[id].frequency = 1; }
    void store(ObjectId id) override {
        push(queue_, id);
        links_[id].frequency = 0;
    }
    void evict_one() override {
        ObjectId at = hand_ == none ? queue_.oldest : hand_;
        while (links_[at].frequency > 0) {
            links_[at].frequency = 0;
            at = links_[at].newer == none ? queue_.oldest : links_[at].newer;
        }
        hand_ = links_[at].newer;
        take(queue_, at);
    }

    Queue queue_;
    ObjectId hand_ = none;
};

struct S3FifoOptions {
    std::string name = "S3-FIFO";
    double small_share = 0.10;    ///< of the capacity, for what was never seen before
    double ghost_share = 0.90;    ///< of the capacity: how many evicted bytes are remembered by name
    unsigned promotion_hits = 2;  ///< in the small queue, to enter the main queue
    unsigned frequency_max = 3;
};

/// S3-FIFO (SOSP'23): newcomers pass a small queue; only what is asked for again, there or soon after (the ghost queue),
/// enters the main queue, which is a FIFO with second, third and fourth chances.
class S3Fifo final : public Policy {
  public:
    S3Fifo(std::uint64_t capacity_bytes, const std::vector<std::uint64_t>& sizes, S3FifoOptions options = {})
        : Policy(options.name, capacity_bytes, sizes), options_(options), in_small_(sizes.size()), left_at_(sizes.size(), never),
          small_bytes_max_(static_cast<std::uint64_t>(static_cast<double>(capacity_bytes) * options.small_share)),
          ghost_bytes_max_(static_cast<std::uint64_t>(static_cast<double>(capacity_bytes) * options.ghost_share)) {}

  private:
    static constexpr std::uint64_t never = UINT64_MAX;

    void hit(ObjectId id) override {
        if (links_[id].frequency < options_.frequency_max) ++links_[id].frequency;
    }
    void store(ObjectId id) override {
        const bool remembered = left_at_[id] != never && ghost_clock_ - left_at_[id] <= ghost_bytes_max_;
        left_at_[id] = never;
        links_[id].frequency = 0;
        in_small_[id] = !remembered;
        push(remembered ? main_ : small_, id);
    }
    void evict_one() override {
        if (small_.oldest != none && (small_.bytes > small_bytes_max_ || main_.oldest == none)) leave_small();
        else leave_main();
    }
    void leave_small() {
        const ObjectId id = small_.oldest;
        take(small_, id);
        in_small_[id] = false;
        if (links_[id].frequency >= options_.promotion_hits) {
            links_[id].frequency = 0;
            push(main_, id);
            return;
        }
        ghost_clock_ += sizes_[id];
        left_at_[id] = ghost_clock_;
    }
    void leave_main() {
        const ObjectId id = main_.oldest;
        take(main_, id);
        if (links_[id].frequency == 0) return;
        --links_[id].frequency;
        push(main_, id);
    }

    S3FifoOptions options_;
    std::vector<bool> in_small_;
    std::vector<std::uint64_t> left_at_;  // the ghost clock when the object left the small queue
    std::uint64_t ghost_clock_ = 0;       // bytes that left the small queue so far
    std::uint64_t small_bytes_max_;
    std::uint64_t ghost_bytes_max_;
    Queue small_;
    Queue main_;
};

}  // namespace entrepot::bench
