#include "entrepot/admin/metrics.h"

#include "entrepot/admin/json_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>

namespace entrepot {
namespace {

using Page = std::back_insert_iterator<std::string>;

constexpr std::array disk_states = {DiskHealth::State::healthy, DiskHealth::State::full, DiskHealth::State::suspect,
                                    DiskHealth::State::read_only, DiskHealth::State::closed};
static_assert(disk_states.size() == DiskHealth::states);

/// As the value of a label.
std::string label_text(std::string_view text) {
    std::string escaped;
    for (char c : text) {
        if (c == '\\' || c == '"') escaped += '\\';
        if (c == '\n') escaped += "\\n";
        else escaped += c;
    }
    return escaped;
}

std::string json_text(std::string_view text) { return write_json(nlohmann::json(text)); }

bool is_degraded(const MetricSources& sources) {
    return std::any_of(sources.disks.begin(), sources.disks.end(), [](auto* disk) { return !disk->healthy(); });
}

/// {"kind":"volume","path":"/data/a","state":"read_only","since":1234,"problem":"volume /data/a is read-only: ..."}
std::string disk_document(const DiskHealth& disk) {
    auto trouble = disk.trouble();
    auto state = trouble ? trouble->state : DiskHealth::State::healthy;
    auto known = fmt::format(R"({{"kind":"{}","path":{},"state":"{}")", disk.kind(), json_text(disk.path()), name_of(state));
    if (!trouble) return known + '}';
    auto problem = fmt::format("{} {} is {}: {}; {}", disk.kind(), disk.path(), words_for(state), trouble->why, trouble->advice);
    return fmt::format(R"({},"since":{},"problem":{}}})", known, trouble->since, json_text(problem));
}

std::string disks_document(const MetricSources& sources) {
    std::string text;
    for (auto* disk : sources.disks) text += (text.empty() ? "" : ",") + disk_document(*disk);
    return '[' + text + ']';
}

class MetricsWriter {
  public:
    explicit MetricsWriter(const MetricSources& sources) : sources_(sources), out_(std::back_inserter(text_)) {}

    std::string write() {
        requests();
        logins();
        upstreams();
        cache();
        store();
        disks();
        loops();
        return std::move(text_);
    }

  private:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        fmt::format_to(out_, "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
    }
    void single(std::string_view name, std::string_view type, std::string_view help, double value) {
        family(name, type, help);
        fmt::format_to(out_, "{} {}\n", name, value);
    }
    template <typename Read>
    std::uint64_t sum(Read read) const {
        std::uint64_t total = 0;
        for (auto& shard : sources_.shards) total += read(shard);
        return total;
    }

    void requests() {
        family("entrepot_requests_total", "counter", "Requests answered on the registry listener.");
        for (std::size_t kind = 0; kind < request_kinds; ++kind) {
            for (std::size_t status = 100; status < RegistryCounters::statuses; ++status) {
                auto count = sum([&](auto& shard) { return shard.registry->requests[kind][status].value(); });
                if (count)
                    fmt::format_to(out_, "entrepot_requests_total{{kind=\"{}\",status=\"{}\"}} {}\n", request_kind_names[kind],
                                   status, count);
            }
        }
        family("entrepot_served_bytes_total", "counter", "Body bytes handed to the kernel for clients, by where they came from.");
        for (std::size_t from = 0; from < served_from_names.size(); ++from) {
            auto bytes = sum([&](auto& shard) { return shard.registry->served_bytes[from].value(); });
            fmt::format_to(out_, "entrepot_served_bytes_total{{from=\"{}\"}} {}\n", served_from_names[from], bytes);
        }
        single("entrepot_aborted_responses_total", "counter", "Responses that ended as an aborted connection.",
               static_cast<double>(sum([](auto& shard) { return shard.registry->aborted.value(); })));
        single("entrepot_access_log_dropped_total", "counter", "Lines of the access log that could not be written in time.",
               static_cast<double>(sum([](auto& shard) { return shard.access_log ? shard.access_log->dropped().value() : 0; })));
        single("entrepot_connections", "gauge", "Open client connections of the registry listener.",
               static_cast<double>(sum([](auto& shard) { return shard.connections->open(); })));
    }

    void logins() {
        if (!sources_.logins) return;
        family("entrepot_logins_total", "counter",
               "Passwords of accounts looked at, by what came of it; those remembered on a shard are not counted.");
        auto& counted = *sources_.logins;
        for (auto [outcome, counter] : {std::pair("right", &counted.right), std::pair("wrong", &counted.wrong),
                                        std::pair("too_many_tries", &counted.too_many_tries), std::pair("busy", &counted.busy)})
            fmt::format_to(out_, "entrepot_logins_total{{outcome=\"{}\"}} {}\n", outcome, counter->value());
    }

    void upstreams() {
        constexpr std::string_view classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
        family("entrepot_upstream_requests_total", "counter", "Requests sent to upstreams, by the class of their answer.");
        for (std::size_t i = 0; i < sources_.upstreams->count(); ++i) {
            auto& counters = sources_.upstreams->counters(i);
            for (std::size_t kind = 0; kind < upstream_kinds; ++kind) {
                for (std::size_t status = 0; status < std::size(classes); ++status) {
                    auto count = counters.by_status[kind][status].load(std::memory_order_relaxed);
                    if (count) {
                        fmt::format_to(out_,
                                       "entrepot_upstream_requests_total{{login_server=\"{}\",kind=\"{}\",status=\"{}\"}} {}\n",
                                       sources_.upstreams->at(i).login_server, name_of(static_cast<UpstreamKind>(kind)),
                                       classes[status], count);
                    }
                }
            }
        }
        family("entrepot_upstream_bytes_total", "counter", "Body bytes received from upstreams.");
        for (std::size_t i = 0; i < sources_.upstreams->count(); ++i) {
            auto bytes = sources_.upstreams->counters(i).bytes.load(std::memory_order_relaxed);
            if (bytes)
                fmt::format_to(out_, "entrepot_upstream_bytes_total{{login_server=\"{}\"}} {}\n",
                               sources_.upstreams->at(i).login_server, bytes);
        }
        upstream_line("entrepot_upstream_exchanges", "Requests to the upstream that are under way.", &FairSlotCounters::held);
        upstream_line("entrepot_upstream_waiting", "Requests that wait for their turn with the upstream.",
                      &FairSlotCounters::waiting);
        upstream_line("entrepot_upstream_waiting_clients",
                      "Clients of whom requests wait for the upstream, counted on each shard.",
                      &FairSlotCounters::waiting_clients);
        family("entrepot_ratelimit_remaining", "gauge", "What the upstream last said is left of our rate limit.");
        for (std::size_t i = 0; i < sources_.upstreams->count(); ++i) {
            auto left = sources_.upstreams->counters(i).ratelimit_remaining.load(std::memory_order_relaxed);
            if (left >= 0)
                fmt::format_to(out_, "entrepot_ratelimit_remaining{{login_server=\"{}\"}} {}\n",
                               sources_.upstreams->at(i).login_server, left);
        }
    }

    void upstream_line(std::string_view name, std::string_view help, std::atomic<std::int64_t> FairSlotCounters::*gauge) {
        family(name, "gauge", help);
        for (std::size_t i = 0; i < sources_.upstreams->count(); ++i) {
            auto value = (sources_.upstreams->counters(i).exchanges.*gauge).load(std::memory_order_relaxed);
            fmt::format_to(out_, "{}{{login_server=\"{}\"}} {}\n", name, sources_.upstreams->at(i).login_server, value);
        }
    }

    void cache() {
        family("entrepot_fetches_total", "counter", "Blob downloads from upstreams, by how they ended.");
        fmt::format_to(out_, "entrepot_fetches_total{{result=\"stored\"}} {}\n",
                       sum([](auto& shard) { return shard.cache->fetches_stored.value(); }));
        fmt::format_to(out_, "entrepot_fetches_total{{result=\"unstored\"}} {}\n",
                       sum([](auto& shard) { return shard.cache->fetches_unstored.value(); }));
        fmt::format_to(out_, "entrepot_fetches_total{{result=\"failed\"}} {}\n",
                       sum([](auto& shard) { return shard.cache->fetches_failed.value(); }));
        cache_single("entrepot_fetches_running", "gauge", "Blob downloads in flight.", &CacheCounters::running_fetches);
        cache_single("entrepot_fetch_followers_total", "counter", "Requests that joined a running download.",
                     &CacheCounters::followers);
        cache_single("entrepot_fetch_resumes_total", "counter", "Broken downloads continued with Range.",
                     &CacheCounters::resumes);
        cache_single("entrepot_digest_mismatches_total", "counter", "Downloads whose bytes did not match their digest.",
                     &CacheCounters::digest_mismatches);
        cache_single("entrepot_stale_served_total", "counter",
                     "Answers given from the ledger because upstream could not be asked.", &CacheCounters::stale_served);
        cache_single("entrepot_hot_blobs", "gauge", "Blobs open or in memory on the shards.", &CacheCounters::hot_blobs);
        cache_single("entrepot_hot_bytes", "gauge", "Bytes of small bodies in memory.", &CacheCounters::hot_bytes);
    }
    void cache_single(std::string_view name, std::string_view type, std::string_view help, Counter CacheCounters::*counter) {
        single(name, type, help, static_cast<double>(sum([&](auto& shard) { return (shard.cache->*counter).value(); })));
    }

    void store() {
        auto& counters = *sources_.store;
        auto value = [](const std::atomic<std::uint64_t>& counter) {
            return static_cast<double>(counter.load(std::memory_order_relaxed));
        };
        single("entrepot_store_bytes", "gauge", "Bytes of stored blobs.", value(counters.bytes));
        single("entrepot_store_capacity_bytes", "gauge", "Bytes the store may hold.", value(counters.capacity_bytes));
        single("entrepot_store_blobs", "gauge", "Stored blobs.", value(counters.blobs));
        single("entrepot_store_partial_bytes", "gauge", "Bytes of partial files kept for a resume.",
               value(counters.partial_bytes));
        single("entrepot_evictions_total", "counter", "Blobs evicted to make room.", value(counters.evictions));
        single("entrepot_evicted_bytes_total", "counter", "Bytes evicted to make room.", value(counters.evicted_bytes));
        single("entrepot_quarantined_total", "counter", "Stored blobs found damaged.", value(counters.quarantined));
        single("entrepot_sums_corrected_total", "counter",
               "Stored blobs that were whole while the ledger had wrong sums of them.", value(counters.corrected));
        single("entrepot_scrub_blobs_total", "counter", "Stored blobs that the scrub came to the end of.",
               value(counters.scrubbed_blobs));
        single("entrepot_scrub_bytes_total", "counter", "Bytes of stored blobs that the scrub has read.",
               value(counters.scrubbed_bytes));
        single("entrepot_scrub_damaged_total", "counter", "Stored blobs that the scrub found damaged.",
               value(counters.scrub_damaged));
        single("entrepot_scrub_last_pass_timestamp_seconds", "gauge",
               "When the scrub had last read everything that is stored, in Unix time; 0: not yet.",
               value(counters.scrub_pass_ended));
        single("entrepot_store_write_errors_total", "counter", "Writes that the disk refused.", value(counters.write_errors));
    }

    void disks() {
        single("entrepot_degraded", "gauge", "1 while a volume or the ledger does not take what should be written.",
               is_degraded(sources_));
        family("entrepot_disk_state", "gauge", "How a volume, or the ledger, takes what is written: 1 for the state it is in.");
        for (auto* disk : sources_.disks) {
            auto now = disk->state();
            for (auto state : disk_states)
                fmt::format_to(out_, "entrepot_disk_state{{kind=\"{}\",path=\"{}\",state=\"{}\"}} {}\n", disk->kind(),
                               label_text(disk->path()), name_of(state), state == now ? 1 : 0);
        }
    }

    void loops() {
        family("entrepot_loop_stall_seconds", "histogram", "How long a shard's loop was away from its ring.");
        std::uint64_t cumulative = 0, total_ns = 0;
        for (int bucket = 0; bucket < Loop::stall_buckets; ++bucket) {
            cumulative += sum([&](auto& shard) { return shard.loop->stalls[bucket].load(std::memory_order_relaxed); });
            double bound = static_cast<double>(65536ull << bucket) / 1e9;
            if (bucket + 1 < Loop::stall_buckets)
                fmt::format_to(out_, "entrepot_loop_stall_seconds_bucket{{le=\"{:.6f}\"}} {}\n", bound, cumulative);
        }
        total_ns = sum([](auto& shard) { return shard.loop->stall_sum_ns.load(std::memory_order_relaxed); });
        fmt::format_to(out_, "entrepot_loop_stall_seconds_bucket{{le=\"+Inf\"}} {}\n", cumulative);
        fmt::format_to(out_, "entrepot_loop_stall_seconds_sum {}\n", static_cast<double>(total_ns) / 1e9);
        fmt::format_to(out_, "entrepot_loop_stall_seconds_count {}\n", cumulative);
        std::uint64_t longest = 0;
        for (auto& shard : sources_.shards) longest = std::max(longest, shard.loop->stall_max_ns.load(std::memory_order_relaxed));
        single("entrepot_loop_stall_max_seconds", "gauge", "The longest stall since the start.",
               static_cast<double>(longest) / 1e9);
        family("entrepot_shard_away_seconds", "gauge",
               "For how long the watchdog has found no turn of a shard's loop; 0 is well.");
        for (std::size_t shard = 0; shard < sources_.shards.size(); ++shard)
            fmt::format_to(out_, "entrepot_shard_away_seconds{{shard=\"{}\"}} {}\n", shard,
                           static_cast<double>(sources_.shards[shard].loop->away_ns.load(std::memory_order_relaxed)) / 1e9);
        if (sources_.watchdog)
            single("entrepot_shard_stalls_total", "counter", "How often a shard did not turn for two seconds and more.",
                   static_cast<double>(sources_.watchdog->stalls()));
        single("entrepot_buffers_out", "gauge", "Transfer buffers in use.",
               static_cast<double>(sum([](auto& shard) { return shard.buffers->out(); })));
        single("entrepot_operations_in_flight", "gauge", "Kernel requests in flight.",
               static_cast<double>(sum([](auto& shard) { return const_cast<Loop*>(shard.loop)->ring().in_flight(); })));
        single("entrepot_ring_refusals_total", "counter",
               "Kernel requests that the ring's own allow-list refused: a defect, always 0.",
               static_cast<double>(sum([](auto& shard) { return const_cast<Loop*>(shard.loop)->ring().refusals.load(); })));
        single("entrepot_uptime_seconds", "gauge", "Since the start.",
               static_cast<double>((now() - sources_.started).count()) / 1e9);
    }

    const MetricSources& sources_;
    std::string text_;
    Page out_;
};

}  // namespace

std::string metrics_page(const MetricSources& sources) { return MetricsWriter(sources).write(); }

std::string degraded_line(const MetricSources& sources) {
    std::string what;
    for (auto* disk : sources.disks) {
        auto state = disk->state();
        if (state == DiskHealth::State::healthy) continue;
        what += fmt::format("{}{} {} is {}", what.empty() ? "" : ", ", disk->kind() == "volume" ? "a" : "the", disk->kind(),
                            words_for(state));
    }
    if (what.empty()) return what;
    return "degraded: " + what +
           "; what is stored is served, what is not passes through; entrepot status says why and what to do\n";
}

std::string status_document(const MetricSources& sources, bool ready) {
    auto& store = *sources.store;
    std::size_t connections = 0;
    std::uint64_t hits = 0, others = 0;
    for (auto& shard : sources.shards) {
        connections += shard.connections->open();
        hits += shard.registry->served_bytes[0].value();
        for (std::size_t from = 1; from < served_from_names.size(); ++from) others += shard.registry->served_bytes[from].value();
    }
    return fmt::format(
        "{{\"version\":\"{}\",\"ready\":{},\"uptimeSeconds\":{},\"shards\":{},\"connections\":{},\"store\":{{\"bytes\":{},\"capacityBytes\":{},\"blobs\":{},"
        "\"evictions\":{}}},\"servedBytes\":{{\"hit\":{},\"other\":{}}},\"state\":\"{}\",\"disks\":{}}}\n",
        sources.version, ready, std::chrono::duration_cast<seconds>(now() - sources.started).count(), sources.shards.size(),
        connections, store.bytes.load(), store.capacity_bytes.load(), store.blobs.load(), store.evictions.load(), hits, others,
        is_degraded(sources) ? "degraded" : "ok", disks_document(sources));
}

}  // namespace entrepot
