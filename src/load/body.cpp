#include "load/body.h"

#include "entrepot/io/loop.h"

#include <algorithm>

namespace entrepot::load {
namespace {

constexpr std::size_t portion_most = 16 * MiB;       // what one receive drops at most
constexpr std::uint64_t slow_reads_per_second = 20;  // of a slow reader

}  // namespace

void Body::take(Bytes bytes) {
    if (use_ == Use::hash) digester_->update(bytes);
    if (use_ == Use::keep) {
        too_large_ |= text_.size() + bytes.size() > kept_bytes_max;
        if (!too_large_) text_ += text_of(bytes);
    }
    count(bytes.size());
}

void Body::count(std::uint64_t bytes) {
    if (bytes == 0) return;
    auto time = Loop::current().time();
    if (first_byte_at_ == Instant{}) first_byte_at_ = now();
    if (taken_slowly_ == 0) began_ = time;
    received_ += bytes;
    taken_slowly_ += bytes;
    tally_.add_bytes(bytes, time);
    Live::add(live_.bytes, bytes);
}

void Body::restart() {
    received_ = 0;
    text_.clear();
    if (digester_) digester_ = std::make_unique<Digester>(algorithm_);
}

std::size_t Body::portion() const noexcept {
    if (slow_ == 0) return portion_most;
    return static_cast<std::size_t>(std::clamp<std::uint64_t>(slow_ / slow_reads_per_second, 1, portion_most));
}

Instant Body::next_read() const noexcept {
    auto needed_ns = static_cast<double>(taken_slowly_) / static_cast<double>(slow_) * 1e9;
    return began_ + Duration(static_cast<std::int64_t>(needed_ns));
}

}  // namespace entrepot::load
