#pragma once
// The whole server as one object: what all shards share, the shards, and the order in which everything starts and ends. It makes no thread and waits for none: the program (main) gives each
// shard a thread, the simulator turns all of them on one.
//
//   open ──> add_shard (each on its thread) ──> connect ──> loops run ──start()──> serving ──stop()──> drained, loops stopped ──> remove_shard (each on its thread)

#include "entrepot/control/control.h"
#include "entrepot/io/watchdog.h"
#include "entrepot/rules/config.h"
#include "entrepot/shard/shard.h"

#include <atomic>
#include <functional>

namespace entrepot {

class Box {
  public:
    struct Options {
        Duration drain_timeout = std::chrono::seconds(30);  ///< how long running answers may take after stop()
        std::uint64_t ledger_map_bytes = 64 * GiB;          ///< address space; valgrind and address limits leave less
        std::uint64_t memory_bytes = 0;                     ///< Store::Options::memory_bytes
        ShardOptions shard;
        UpstreamTable::Options upstream;
    };

    /// Blocking: opens the store, reads certificates, joins rules with upstreams. The error is one line for the operator.
    static Result<std::unique_ptr<Box>, std::string> open(const Config& config, Options options);
    ~Box();

    /// On the thread that shall run the shard.
    Result<void, std::string> add_shard(unsigned index, std::unique_ptr<Ring> ring);
    void set_shard_count(unsigned count) { shards_.resize(count); }
    /// After every shard was added, before any loop runs.
    void connect();
    void remove_shard(unsigned index);

    /// On shard 0's loop: loads the store, then lets every shard accept. Detached; `ready` is called once, with the error if there is one.
    void start(std::function<void(Result<void, std::string>)> ready);
    /// Any thread, while it serves: takes the rules, credential sets and new upstreams of a file that was read again. `done` is called on shard 0's thread, with the error if
    /// there is one; then the running configuration stays.
    void reload(Config config, std::function<void(Result<void, std::string>)> done);
    /// Blocking, any thread: a log that was renamed meanwhile is begun anew. Nothing happens where there is none.
    Result<void, std::string> reopen_access_log();
    /// Any thread, once: drains, stops fetching, closes, and stops every loop.
    void stop() noexcept;

    Shard& shard(unsigned index) noexcept { return *shards_[index]; }
    std::size_t shard_count() const noexcept { return shards_.size(); }
    /// Once it is ready; on shard 0's loop.
    Purge& purge() noexcept { return *purge_; }
    Store& store() noexcept { return *store_; }
    /// Each shard's thread tells it of its loop; it looks as often as the program lets it.
    Watchdog& watchdog() noexcept { return watchdog_; }
    Control& control() noexcept { return *control_; }

  private:
    explicit Box(Options options) : options_(std::move(options)) {}
    Task<void> start_all(std::function<void(Result<void, std::string>)> ready);
    Task<Result<void, std::string>> start_parts();
    Task<void> load_token_key();
    Task<void> stop_all();
    Task<void> publish(std::shared_ptr<const Routing> routing);
    template <typename Step>
    Task<void> tell_every_shard(Step step);
    template <typename Phase>
    Task<void> on_every_shard(Phase phase);

    struct StopMessage : Message {
        Box* box = nullptr;
    };
    struct ReloadMessage : Message {
        Box* box = nullptr;
        Config config;
        std::function<void(Result<void, std::string>)> done;
    };
    Task<void> reload_here(std::unique_ptr<ReloadMessage> message);

    Options options_;
    AdminPlaces admin_places_;
    std::string store_directory_;
    std::unique_ptr<AdminToken> admin_token_;  ///< on shard 0's loop
    std::unique_ptr<TlsServerContext> tls_;
    std::unique_ptr<AccessLogFile> access_log_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<UpstreamTable> upstreams_;
    std::unique_ptr<Control> control_;
    Entrance entrance_;
    CacheTeam team_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::unique_ptr<Purge> purge_;
    Watchdog watchdog_;
    Instant started_{};
    StopMessage stop_message_;
    std::atomic<bool> stop_asked_{false};
    TaskGroup services_;  ///< on shard 0's loop
    bool store_started_ = false;
    int under_way_ = 0;  ///< a start, reloads
    Condition under_way_ended_;
};

}  // namespace entrepot
