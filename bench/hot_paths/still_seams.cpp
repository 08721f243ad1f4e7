#include "still_seams.h"

#include "entrepot/base/random.h"

#include <atomic>

namespace entrepot {
namespace {

constexpr std::int64_t wall_at_start = 1'790'000'000;
std::atomic<std::int64_t> time_ns{1'000'000'000'000};

}  // namespace

Instant now() noexcept { return {time_ns.load(std::memory_order_relaxed)}; }

std::int64_t wall_microseconds() noexcept { return wall_at_start * 1'000'000 + now().ns / 1'000; }

std::uint64_t random_bits() noexcept {  // splitmix64
    thread_local std::uint64_t state = 1;
    state += 0x9e3779b97f4a7c15;
    auto bits = state;
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
    return bits ^ (bits >> 31);
}

void random_key(MutableBytes key) noexcept {
    for (auto& byte : key) byte = static_cast<std::byte>(random_bits());
}

std::uint64_t hash_seed() noexcept { return 0x5eed5eed5eed5eed; }

void bench::let_time_pass(Duration length) noexcept { time_ns.fetch_add(length.count(), std::memory_order_relaxed); }

}  // namespace entrepot
