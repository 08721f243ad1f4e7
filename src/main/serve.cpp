#include "main/serve.h"

#include "main/arenas.h"

#include "entrepot/base/out_of_memory.h"
#include "entrepot/base/sha256.h"
#include "entrepot/base/start_thread.h"
#include "entrepot/io/blocking.h"
#include "entrepot/net/free_address.h"
#include "entrepot/rules/config_difference.h"
#include "entrepot/shard/box.h"
#include "entrepot/shard/descriptors.h"
#include "entrepot/shard/memory.h"
#include "entrepot/shard/topology.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <iterator>
#include <numeric>
#include <sstream>
#include <thread>

namespace entrepot {
namespace {

constexpr const char* config_file_default = "/etc/entrepot/entrepot.toml";

struct ConfigText {
    std::string text;
};

Result<ConfigText, std::string> read_config_text(const ServeOptions& options) {
    std::ifstream file(options.config_file);
    if (!file) {
        if (!options.config_file_given) return ConfigText{};
        return fmt::format("cannot read configuration file {}: {}", options.config_file, std::strerror(errno));
    }
    std::ostringstream text;
    text << file.rdbuf();
    return ConfigText{text.str()};
}

/// Of one shard, to one upstream. Some registries give each connection little, so a few shards may open many; a box of many shards must not look like an attack.
std::size_t upstream_connections(std::size_t shards) { return std::clamp<std::size_t>(512 / shards, 64, 256); }

/// As many descriptors as the system lets us have; the connection bound follows from it.
std::size_t raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

void forbid_core_files() {
    // A core file would hold credentials and tokens.
    rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0);
}

sigset_t signals_of_interest() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, signal);
    return set;
}

constexpr int wake_main = SIGUSR2;  // a shard's thread ended: look again

/// The threads of a box: each opens its ring, makes its shard, runs the loop and takes the shard down again.
class ShardThreads {
  public:
    ShardThreads(Box& box, std::vector<Core> cores, pthread_t waiter)
        : box_(box), cores_(std::move(cores)), made_(static_cast<std::ptrdiff_t>(cores_.size()) + 1),
          connected_(static_cast<std::ptrdiff_t>(cores_.size()) + 1),
          ended_(static_cast<std::ptrdiff_t>(cores_.size()), &stop_lanes), errors_(cores_.size()), waiter_(waiter) {}

    /// Makes every shard and connects them. The first error ends all threads again.
    Result<void, std::string> start() {
        box_.set_shard_count(static_cast<unsigned>(cores_.size()));
        for (unsigned index = 0; index < cores_.size(); ++index) threads_.push_back(start_thread([this, index] { run(index); }));
        made_.arrive_and_wait();
        std::string failed;
        for (auto& error : errors_) {
            if (failed.empty()) failed = error;
        }
        good_ = failed.empty();
        if (good_) box_.connect();
        connected_.arrive_and_wait();
        if (good_) return {};
        join();
        return failed;
    }
    void join() {
        for (auto& thread : threads_) thread.join();
        threads_.clear();
    }
    bool ready() const noexcept { return ready_.load(); }
    bool all_ended() const noexcept { return running_.load() == 0; }
    const std::string& start_error() const noexcept { return start_error_; }

  private:
    void run(unsigned index) {
        pthread_setname_np(pthread_self(), fmt::format("shard-{}", index).c_str());
        if (!bind_this_thread(cores_[index])) log_warning("shard {} is not pinned to core {}", index, cores_[index].cpu);
        auto ring = Ring::open({});
        if (!ring) {
            errors_[index] = ring.error();
        } else {
            auto added = box_.add_shard(index, *std::move(ring));
            if (!added) errors_[index] = added.error();
            else box_.watchdog().watch(index, box_.shard(index).loop(), ::gettid());
        }
        made_.arrive_and_wait();
        connected_.arrive_and_wait();
        if (good_) live(index);
        // A shard may touch what another owns until every loop has stopped, and a lane's thread may still be waking a loop whose message was taken: the last shard to
        // arrive ends the lanes, then all take their shards down.
        ended_.arrive_and_wait();
        box_.watchdog().forget(index);
        box_.remove_shard(index);
        if (running_.fetch_sub(1) == 1) pthread_kill(waiter_, wake_main);
    }

    void live(unsigned index) {
        if (index == 0) {
            box_.start([this](Result<void, std::string> started) {
                if (!started) {
                    start_error_ = started.error();
                    box_.stop();
                } else announce();
            });
        }
        box_.shard(index).loop().run();
    }

    void announce() {
        ready_.store(true);
        log_info("ready: {} shard{}, registry on {}, admin on {}", box_.shard_count(), box_.shard_count() == 1 ? "" : "s",
                 box_.shard(0).address(0).text(), box_.shard(0).admin_text());
    }

    Box& box_;
    std::vector<Core> cores_;
    std::barrier<> made_, connected_;
    std::barrier<void (*)() noexcept> ended_;
    std::vector<std::string> errors_;
    std::vector<std::thread> threads_;
    std::string start_error_;
    std::atomic<bool> ready_{false};
    std::atomic<std::size_t> running_{cores_.size()};
    pthread_t waiter_;
    bool good_ = false;
};

/// The file is read again. What cannot be taken is said, and the running configuration stays.
void reload(Box& box, const ServeOptions& options, const Config& running) {
    // First, and whatever the file is like: who rotates logs sends the same signal and waits for nothing.
    if (auto reopened = box.reopen_access_log(); !reopened) log_error("SIGHUP: {}; lines go where they went", reopened.error());
    auto next = load_config(options);
    if (!next) return log_error("SIGHUP: {}; the running configuration stays", next.error());
    for (auto& warning : next->warnings) log_warning("{}", warning);
    auto waiting = waits_for_restart(running, *next);
    if (!waiting.empty()) log_warning("SIGHUP: waits for a restart: {}", fmt::join(waiting, ", "));
    set_log_level(next->server.log_level);
    box.reload(*std::move(next), [](Result<void, std::string> reloaded) {
        if (reloaded) log_info("SIGHUP: the rules and credential sets of the configuration file are in use");
        else log_error("SIGHUP: {}; the running configuration stays", reloaded.error());
    });
}

/// 0 when the time is over first.
int wait_for_signal(const sigset_t& signals, Duration time) {
    auto ns = std::max(time, Duration(0)).count();
    timespec limit{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
    int signal = ::sigtimedwait(&signals, nullptr, &limit);
    return signal > 0 ? signal : 0;
}

void wait_for_the_end(Box& box, ShardThreads& threads, const sigset_t& signals, const ServeOptions& options,
                      const Config& running) {
    bool stopping = false;
    Instant next_look = now();
    while (!threads.all_ended()) {
        int signal = wait_for_signal(signals, next_look - now());
        if (now() >= next_look) {
            box.watchdog().look(now());
            next_look = now() + Watchdog::interval;
        }
        if (signal == SIGHUP && !stopping) {
            if (threads.ready()) reload(box, options, running);
            else log_warning("SIGHUP: still starting; send it again when it is ready");
        }
        if (signal != SIGTERM && signal != SIGINT) continue;
        if (stopping) {
            log_warning("second signal: ending at once");
            std::_Exit(1);
        }
        log_info("stopping: running answers may finish, at most 30 s (signal again to end at once)");
        stopping = true;
        box.stop();
    }
}

/// Once the store's lock is ours: no shard may listen beside what an earlier process left, or beside a stranger.
Result<void, std::string> wait_until_addresses_are_free(const ServerConfig& server) {
    constexpr Duration patience = seconds(15);  // a busy machine ends the ring of a killed server late
    auto wanted = server.listen;
    wanted.insert(wanted.end(), server.admin.begin(), server.admin.end());
    for (auto& listen : wanted) {
        auto address = Address::parse(listen.host, listen.port);  // none for a Unix socket
        auto is_free = address ? wait_until_free(*address, patience) : Result<void, std::string>();
        if (!is_free) return is_free;
    }
    return {};
}

int fail(const std::string& why) {
    log_error("{}", why);
    return 1;
}

/// Of which the page cache is the better part on a machine that serves files.
std::uint64_t machine_memory_bytes() noexcept {
    long pages = ::sysconf(_SC_PHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0;
}

std::string too_little_memory(std::uint64_t limit, unsigned shards) {
    return fmt::format(
        "{} MiB of memory are too little for {} shards: raise the limit (MemoryMax, the container's) to {} MiB, or lower [server] shards",
        limit / MiB, shards, least_memory_bytes(shards) / MiB);
}

}  // namespace

Result<Config, std::string> load_config(const ServeOptions& options) {
    auto text = read_config_text(options);
    if (!text) return text.error();
    auto config = Config::parse(text->text, options.config_file);
    if (!config) return config;
    if (!options.listen.empty()) config->server.listen.clear();
    for (auto& listen : options.listen) {
        auto address = parse_listen_address(listen);
        if (!address) return fmt::format("--listen '{}': {}", listen, address.error());
        config->server.listen.push_back(*address);
    }
    if (!options.admin.empty()) {
        config->server.admin.clear();
        config->server.admin_given = true;
    }
    for (auto& admin : options.admin) {
        auto address = parse_listen_address(admin);
        if (!address) return fmt::format("--admin '{}': {}", admin, address.error());
        config->server.admin.push_back(*address);
    }
    if (!options.store.empty()) config->store.path = options.store;
    if (options.shards) config->server.shards = *options.shards;
    return config;
}

int serve(const ServeOptions& options) {
    auto config = load_config(options);
    if (!config) return fail(config.error());
    for (auto& warning : config->warnings) log_warning("{}", warning);
    if (options.check_only) {
        log_info("the configuration is good: {} rules, {} upstreams", config->rules.size(), config->upstreams.size());
        return 0;
    }
    set_log_level(config->server.log_level);
    forbid_core_files();
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);  // a file size limit becomes EFBIG, which the store handles
    auto signals = signals_of_interest();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread: all inherit it
    set_assert_witness(print_live_tasks);
    warm_up_crypto();

    auto cores = read_topology(options.sysfs, allowed_cpus());
    unsigned shards = config->server.shards ? config->server.shards : static_cast<unsigned>(cores.size());
    Box::Options box_options;
    auto memory_bytes = memory_limit_bytes(machine_memory_bytes());
    if (memory_bytes > 0 && memory_bytes < least_memory_bytes(shards)) return fail(too_little_memory(memory_bytes, shards));
    auto memory = share_memory(memory_bytes, shards, config->tls.has_value());
    auto share = share_descriptors(raise_descriptor_limit(), shards);
    box_options.shard.connections.connections_max = std::min(share.connections_max, memory.connections_max);
    box_options.shard.buffers = memory.buffers;
    box_options.shard.cache.hot.body_bytes_max = memory.small_bodies_max;
    box_options.shard.cache.hot.entries_max = share.open_blobs_max;
    box_options.upstream.connections_per_upstream_max = upstream_connections(shards);
    box_options.memory_bytes = memory_bytes;
    auto box = Box::open(*config, std::move(box_options));
    if (!box) return fail(box.error());
    auto is_free = wait_until_addresses_are_free(config->server);
    if (!is_free) return fail(is_free.error());

    if (!make_arenas(shards + std::accumulate(std::begin(lane_threads), std::end(lane_threads), 0u))) end_out_of_memory();
    start_lanes();
    ShardThreads threads(**box, place_shards(cores, shards), pthread_self());
    auto started = threads.start();
    if (started) {
        wait_for_the_end(**box, threads, signals, options, *config);
        threads.join();
    }
    if (!started) return fail(started.error());
    if (!threads.start_error().empty()) return fail(threads.start_error());
    log_info("stopped");
    return 0;
}

}  // namespace entrepot
