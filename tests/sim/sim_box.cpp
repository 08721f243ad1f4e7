#include "sim_box.h"

#include "ring_sim.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::sim {
namespace {

std::string config_text(const SimBox::Setup& setup) {
    return fmt::format(R"(
[server]
listen = ["{0}:{1}"]
admin = "{0}:{2}"
default_login_server = "{3}"
[[upstream]]
login_server = "{3}"
endpoints = ["{4}"]
realms = ["{5}"]
[[cache_rule]]
name = "sim"
source = "{3}/*"
target = "{3}/*"
tag_ttl = "{6}s"
)",
                       SimBox::ip, SimBox::port, SimBox::port + 1, setup.login_server, setup.endpoint, setup.realm,
                       setup.tag_ttl / seconds(1));
}

Config config_of(const SimBox::Setup& setup) {
    auto config = Config::parse(config_text(setup), "sim.toml");
    if (!config) violation("the simulated configuration is refused: " + config.error());
    config->store.path = setup.directory;
    config->store.volumes = setup.volumes;
    config->store.scrub = setup.scrub_period;
    config->store.capacity = {std::nullopt, setup.capacity_bytes};
    return *std::move(config);
}

}  // namespace

SimBox::SimBox(World& world, const Setup& setup) : world_(world) {
    ProcessScope scope(process);
    open(setup);
}

SimBox::~SimBox() { ASSERT(!box_); }

void SimBox::open(const Setup& setup) {
    Box::Options options;
    options.shard.buffers = setup.buffers;
    options.memory_bytes = 4 * MiB;
    options.shard.cache.hot.entries_max = 16;
    auto opened = Box::open(config_of(setup), options);
    if (!opened) {
        failed_ = opened.error();
        return;
    }
    box_ = *std::move(opened);
    box_->set_shard_count(setup.shards);
    for (unsigned i = 0; i < setup.shards; ++i) {
        auto ring = Ring::open({.provided_buffers = setup.provided_buffers});
        auto added = box_->add_shard(i, *std::move(ring));
        if (!added) violation("a shard cannot be added: " + added.error());
        world_.attach(box_->shard(i).loop());
    }
    box_->connect();
    running_ = true;
    box_->shard(0).loop().enter();
    box_->start([this](Result<void, std::string> result) { started(std::move(result)); });
}

void SimBox::started(Result<void, std::string> result) {
    ready_ = result.has_value();
    if (!ready_) failed_ = result.error();
}

std::uint64_t SimBox::stored_bytes() const { return box_->store().counters().bytes.load(); }

std::vector<const DiskHealth*> SimBox::disks() const { return box_->store().disks(); }
const Store::Counters& SimBox::store_counters() const { return box_->store().counters(); }

bool SimBox::has(const Digest& digest, const std::string& disk_path) const {
    auto& ledger = box_->store().ledger();
    auto record = ledger.find_blob_head(digest);
    auto volumes = ledger.volumes();
    return record && std::any_of(volumes.begin(), volumes.end(), [&](auto& volume) {
               return volume.index == record->volume && volume.present && volume.path == disk_path;
           });
}

Task<Result<PurgeCount>> SimBox::purge(PurgeOrder order) {
    auto& loop = box_->shard(0).loop();
    auto work = [&] { return box_->purge().run(order); };
    auto done = co_await run_on(loop, work);
    co_return done;
}

void SimBox::stop() {
    if (running_) box_->stop();
}

bool SimBox::stopped() const {
    for (std::size_t i = 0; running_ && i < box_->shard_count(); ++i) {
        if (!box_->shard(static_cast<unsigned>(i)).loop().stopping()) return false;
    }
    return true;
}

void SimBox::take_down() {
    for (unsigned i = 0; running_ && i < box_->shard_count(); ++i) {
        auto& loop = box_->shard(i).loop();
        auto& ring = static_cast<SimRing&>(loop.ring());
        if (ring.in_flight() != 0)
            violation(fmt::format("shard {} has {} operations in flight after its end", i, ring.in_flight()));
        if (ring.provided_buffers_out() != 0)
            violation(fmt::format("shard {} did not give back {} receive buffers", i, ring.provided_buffers_out()));
        if (box_->shard(i).cache().buffers().out() != 0)
            violation(fmt::format("shard {} did not give back {} buffers", i, box_->shard(i).cache().buffers().out()));
        world_.detach(loop);
    }
    for (unsigned i = 0; running_ && i < box_->shard_count(); ++i) box_->remove_shard(i);
    box_.reset();
}

}  // namespace entrepot::sim
