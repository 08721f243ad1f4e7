#include "kernel_host.h"

#include "ring_sim.h"

#include <doctest/doctest.h>

namespace entrepot::sim {
namespace {

constexpr std::uint64_t seeds = 200;

/// What a healthy kernel does to everybody, now and then.
Faults harmless(Random& random) {
    Faults faults;
    faults.short_socket_transfer = random.fraction() * 0.5;
    faults.tiny_segments = random.fraction() * 0.3;
    faults.narrow_window = random.fraction();
    faults.late_completion = random.fraction() * 0.5;
    faults.cancel_too_late = random.fraction();
    faults.multishot_end = random.fraction() * 0.2;
    faults.short_file_transfer = random.fraction() * 0.3;
    faults.long_delay = random.fraction() * 0.05;
    faults.long_delay_max = std::chrono::milliseconds(50);
    return faults;
}

class SimHost final : public KernelHost {
  public:
    explicit SimHost(World& world) : world_(world) {}
    int root() override { return world_.open_root(world_.add_disk("/large", GiB)); }
    int small_root() override { return world_.open_root(world_.add_disk("/small", 64 * KiB)); }
    bool simulated() const override { return true; }

  private:
    World& world_;
};

void run_seed(KernelProgram program, std::uint64_t seed) {
    Random random(seed);
    World world(seed, harmless(random));
    auto ring = Ring::open({.provided_buffers = 8, .provided_buffer_bytes = 4096});
    REQUIRE(ring);
    Loop loop(std::move(*ring));
    world.attach(loop);
    SimHost host(world);
    auto task = program(host);
    auto outcome = world.run_until([&task] { return task.done(); }, world.time() + std::chrono::minutes(10), 2'000'000);
    if (outcome != World::Outcome::done) violation("a kernel program does not end");
    if (world.open_descriptors("outside") != 0) {
        world.print_open_descriptors("outside");
        violation("a kernel program left descriptors open");
    }
    CHECK(loop.ring().in_flight() == 0);
    CHECK(static_cast<SimRing&>(loop.ring()).provided_buffers_out() == 0);
    world.detach(loop);
}

}  // namespace

void run_on_kernel(KernelProgram program) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        run_seed(program, seed);
    }
}

}  // namespace entrepot::sim
