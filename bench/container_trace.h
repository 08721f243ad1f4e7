#pragma once
// A made-up but lifelike sequence of blob requests at a registry mirror, the same for the same seed.
//
// Sizes: 40 of 100 blobs are manifests and configurations of a few KiB; layers are log-normal with a median of 1 MiB, 16 of
// 100 above 10 MiB, capped at 500 MiB (two thirds of registry layers below 1 MB: Anwar et al., FAST'18).
// Popularity: Zipf over a catalogue that ages: new releases keep taking over the ranks of old ones.
// Scans: now and then somebody walks through blobs that nobody asks for again (a scanner, a one-off sync); some of them are
// a one-off job of several nodes, each of which asks once more within a short time.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace entrepot::bench {

struct TraceOptions {
    double alpha = 0.9;                      ///< of the Zipf distribution
    double scan_share = 0.2;                 ///< of all requests
    std::uint32_t catalogue_blobs = 40'000;  ///< alive at any one time
    std::uint32_t requests = 2'000'000;
    std::uint32_t scan_length = 2'000;         ///< requests of one scan, interleaved with the normal ones one to one
    double herd_share = 0.25;                  ///< of the scanned blobs: asked for by one to eight more nodes
    std::uint32_t requests_per_release = 100;  ///< normal requests until one rank gets a new blob
    std::uint64_t seed = 1;
};

struct Trace {
    std::vector<std::uint64_t> sizes;     ///< by object number
    std::vector<std::uint32_t> requests;  ///< object numbers in order
    std::uint64_t catalogue_bytes = 0;    ///< of what is alive at the start
};

class TraceMaker {
  public:
    explicit TraceMaker(TraceOptions options) : options_(options), random_(options.seed) {}

    Trace make() {
        fill_catalogue();
        trace_.requests.reserve(options_.requests);
        // A scan of n requests takes part in 2n, so scans begin often enough to reach their share.
        const double scan_begins = options_.scan_share / options_.scan_length / (1 - options_.scan_share);
        std::uint32_t scan_left = 0;
        while (trace_.requests.size() < options_.requests) {
            trace_.requests.push_back(by_rank_[popular_rank()]);
            if (++since_release_ >= options_.requests_per_release) release();
            if (unit_(random_) < scan_begins) scan_left += options_.scan_length;
            if (scan_left > 0) {
                --scan_left;
                scan();
            }
            echo();
        }
        return std::move(trace_);
    }

  private:
    void fill_catalogue() {
        double sum = 0;
        for (std::uint32_t rank = 0; rank < options_.catalogue_blobs; ++rank) {
            by_rank_.push_back(new_blob());
            trace_.catalogue_bytes += trace_.sizes[by_rank_.back()];
            sum += std::pow(rank + 1.0, -options_.alpha);
            cumulative_.push_back(sum);
        }
    }
    std::uint32_t popular_rank() {
        const auto found = std::lower_bound(cumulative_.begin(), cumulative_.end(), unit_(random_) * cumulative_.back());
        return static_cast<std::uint32_t>(std::min<std::ptrdiff_t>(found - cumulative_.begin(), options_.catalogue_blobs - 1));
    }
    // A new release is about as popular as what it replaces.
    void release() {
        since_release_ = 0;
        by_rank_[popular_rank()] = new_blob();
    }
    void scan() {
        const std::uint32_t blob = new_blob();
        trace_.requests.push_back(blob);
        if (unit_(random_) >= options_.herd_share) return;
        echoes_.insert(echoes_.end(), 1 + random_() % 8, blob);
    }
    // The other nodes of a herd come in any order, as fast as two for each normal request.
    void echo() {
        for (int i = 0; i < 2 && !echoes_.empty(); ++i) {
            std::swap(echoes_[random_() % echoes_.size()], echoes_.back());
            trace_.requests.push_back(echoes_.back());
            echoes_.pop_back();
        }
    }
    std::uint32_t new_blob() {
        const bool small = unit_(random_) < 0.4;
        const double bytes =
            std::exp(small ? std::log(2048.0) + 0.8 * normal_(random_) : std::log(1048576.0) + 2.3 * normal_(random_));
        trace_.sizes.push_back(static_cast<std::uint64_t>(std::clamp(bytes, 200.0, 500.0 * 1048576)));
        return static_cast<std::uint32_t>(trace_.sizes.size() - 1);
    }

    TraceOptions options_;
    std::mt19937_64 random_;
    std::uniform_real_distribution<double> unit_{0.0, 1.0};
    std::normal_distribution<double> normal_{0.0, 1.0};
    std::vector<double> cumulative_;
    std::vector<std::uint32_t> by_rank_;
    std::vector<std::uint32_t> echoes_;
    std::uint32_t since_release_ = 0;
    Trace trace_;
};

}  // namespace entrepot::bench
