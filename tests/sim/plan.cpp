#include "plan.h"

namespace entrepot::sim {

Plan Plan::draw(std::uint64_t seed) {
    Random random(seed * 0x9e3779b97f4a7c15 + 1);
    Plan plan;
    plan.seed = seed;
    plan.catalogue_seed = random.next();
    plan.shards = 1 + static_cast<unsigned>(random.below(3));
    plan.healthy = random.chance(0.25);
    plan.faults = Faults::draw(random);
    plan.upstream = UpstreamFaults::draw(random, !plan.healthy);
    if (plan.healthy) plan.faults.heal();
    // Without a length clients wait for the whole body; a healthy upstream is not slow about it as well.
    if (plan.healthy && plan.upstream.chunked + plan.upstream.until_close > 0) plan.upstream.slow = plan.faults.long_delay = 0;
    plan.disk_bytes = 64 * MiB;
    plan.capacity_bytes = 48 * MiB;
    plan.roomy = plan.healthy || random.chance(0.7);
    if (!plan.roomy) {
        plan.capacity_bytes = random.between(64 * KiB, 3 * MiB);
        // Sometimes the disk is fuller than the program believes.
        plan.disk_bytes = random.chance(0.3) ? plan.capacity_bytes / 2 : plan.capacity_bytes * 2;
    }
    plan.rot = !plan.healthy && random.chance(0.2) ? random.fraction() : 0;
    if (random.chance(0.3)) plan.volumes = {"volume-a", "volume-b"};
    plan.tag_ttl = seconds(static_cast<std::int64_t>(1 + random.skewed(120)));
    plan.buffers = 2 + random.below(10);
    plan.provided_buffers = 2u << random.below(6);
    plan.clients.clients = 1 + static_cast<unsigned>(random.skewed(30));
    plan.clients.requests_max = 1 + static_cast<unsigned>(random.skewed(20));
    plan.clients.client_secret = SimRegistry::client_secret;
    plan.clients.leaves = random.chance(0.4) ? random.fraction() * 0.4 : 0;
    plan.clients.slow = random.chance(0.3) ? random.fraction() * 0.5 : 0;
    plan.clients.pipelines = random.chance(0.3) ? random.fraction() : 0;
    plan.clients.herd = random.chance(0.4) ? 1 : 0;
    auto lives = random.chance(0.5) ? 1 : random.between(2, 3);
    for (std::uint64_t i = 0; i < lives; ++i) {
        Life life;
        life.crashes = i + 1 < lives && random.chance(0.7);
        life.crash_after =
            Duration(static_cast<std::int64_t>(random.skewed(static_cast<std::uint64_t>(Duration(seconds(20)).count()))));
        plan.lives.push_back(life);
    }
    plan.purges = random.chance(0.3);
    if (!plan.healthy && random.chance(0.2)) plan.faults.write_over_quota = random.fraction() * 0.1;
    plan.read_only_spells = !plan.healthy && random.chance(0.25);
    if (random.chance(0.7)) plan.scrub_period = seconds(static_cast<std::int64_t>(2 + random.skewed(120)));
    return plan;
}

Plan Plan::crash_at(std::uint64_t seed, std::uint64_t disk_step) {
    auto plan = draw(seed);
    plan.healthy = plan.roomy = true;
    plan.disk_bytes = 64 * MiB;
    plan.capacity_bytes = 48 * MiB;
    plan.rot = 0;
    plan.read_only_spells = false;
    plan.faults = Faults::none();
    plan.upstream = UpstreamFaults{};
    plan.clients.clients = 2;
    plan.clients.requests_max = 4;
    plan.clients.leaves = plan.clients.slow = plan.clients.pipelines = plan.clients.herd = 0;
    plan.lives.assign(2, Life{});
    plan.lives[0].crashes = true;
    plan.lives[0].crash_after = std::chrono::hours(1);
    plan.lives[0].crash_at_disk_step = disk_step;
    return plan;
}

std::vector<std::string> Plan::disk_paths() const {
    std::vector<std::string> paths = volumes;
    paths.emplace_back(store_path);
    return paths;
}

Excuses Plan::excuses() const {
    Excuses excuses;
    excuses.upstream = !healthy;
    excuses.connection = faults.connection_doomed > 0 || faults.connection_silent > 0 || faults.interrupted > 0;
    excuses.silence = faults.connection_silent > 0;
    excuses.corruption = upstream.corrupt + upstream.sends_less + upstream.promises_more + upstream.wrong_digest_header > 0;
    return excuses;
}

bool Plan::disk_may_fail() const {
    return !roomy || read_only_spells ||
           faults.read_error + faults.write_error + faults.write_no_space + faults.write_over_quota + faults.sync_error +
                   faults.sync_lies + faults.name_error >
               0;
}

}  // namespace entrepot::sim
