#pragma once
// The program under test: a Box as main would run it, with every shard's loop turned by the world instead of by a thread of its own.

#include "entrepot/shard/box.h"

#include "world.h"

#include <memory>
#include <string>

namespace entrepot::sim {

class SimBox {
  public:
    static constexpr const char* process = "box";
    static constexpr const char* ip = "10.0.0.1";
    static constexpr std::uint16_t port = 5000;

    struct Setup {
        unsigned shards = 1;
        std::uint64_t capacity_bytes = 0;
        std::string directory;             ///< of the store: a simulated disk and, for the ledger's LMDB, a real directory
        std::vector<std::string> volumes;  ///< simulated disks; empty: `directory` is the only one
        std::string login_server, endpoint, realm;
        Duration tag_ttl = seconds(60);
        std::size_t buffers = 8;
        unsigned provided_buffers = 32;
        Duration scrub_period{0};
    };

    SimBox(World& world, const Setup& setup);
    ~SimBox();

    bool ready() const { return ready_; }
    /// By the store's own count.
    std::uint64_t stored_bytes() const;
    std::vector<const DiskHealth*> disks() const;
    /// Likewise: what the scrub did, and whether the ledger has a blob on the disk of that path.
    const Store::Counters& store_counters() const;
    bool has(const Digest& digest, const std::string& disk_path) const;
    const std::string& failed() const { return failed_; }
    /// From any loop; only between ready and stop().
    Task<Result<PurgeCount>> purge(PurgeOrder order);
    /// An orderly shutdown, as after SIGTERM; also after failed().
    void stop();
    bool stopped() const;
    /// After stopped(): checks that buffers and operations are back at their base, and takes the shards down as their threads would.
    void take_down();

  private:
    void open(const Setup& setup);
    void started(Result<void, std::string> result);

    World& world_;
    std::unique_ptr<Box> box_;
    bool running_ = false;
    bool ready_ = false;
    std::string failed_;
};

}  // namespace entrepot::sim
