#include "entrepot/io/watchdog.h"

#include "entrepot/base/log.h"
#include "entrepot/io/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace entrepot {
namespace {

/// The letter of proc(5) behind the name, which may hold anything but ends with the last parenthesis.
std::string_view what_it_does(pid_t thread) {
    std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread));
    std::string line;
    std::getline(file, line);
    auto name_end = line.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= line.size()) return "is not to be seen";
    switch (line[name_end + 2]) {
        case 'R': return "computes, or waits for a core";
        case 'D': return "waits in the kernel, as for a disk that does not answer";
        case 'T':
        case 't': return "is stopped, as by a debugger";
        default: return "sleeps in a system call";
    }
}

long whole_seconds(Duration length) { return static_cast<long>(std::chrono::duration_cast<seconds>(length).count()); }

}  // namespace

void Watchdog::watch(unsigned shard, Loop& loop, pid_t thread) {
    std::lock_guard guard(lock_);
    watched_.push_back({.shard = shard, .loop = &loop, .thread = thread, .turns_seen = loop.turns()});
}

void Watchdog::forget(unsigned shard) noexcept {
    std::lock_guard guard(lock_);
    std::erase_if(watched_, [shard](const Watched& watched) { return watched.shard == shard; });
}

void Watchdog::look(Instant at) {
    std::lock_guard guard(lock_);
    auto since = last_look_ == Instant::never() ? Duration(0) : std::clamp(at - last_look_, Duration(0), 2 * interval);
    last_look_ = at;
    for (auto& watched : watched_) look_at(watched, since);
}

void Watchdog::look_at(Watched& watched, Duration since) {
    auto turns = watched.loop->turns();
    if (turns != watched.turns_seen) {
        if (watched.said_at > Duration(0))
            log_info("shard {} turns again after about {} s", watched.shard, whole_seconds(watched.away + since));
        watched.turns_seen = turns;
        watched.away = watched.said_at = Duration(0);
    } else {
        watched.away += since;
    }
    bool long_enough = watched.away >= std::max(report_after, 2 * watched.said_at);
    if (long_enough) {
        if (watched.said_at == Duration(0)) stalls_.fetch_add(1, std::memory_order_relaxed);
        watched.said_at = watched.away;
        log_error("shard {} has not turned for {} s: its thread {}; who needs it waits, the other shards serve", watched.shard,
                  whole_seconds(watched.away), what_it_does(watched.thread));
    }
    watched.loop->away_ns.store(watched.said_at > Duration(0) ? watched.away.count() : 0, std::memory_order_relaxed);
    watched.loop->ring().wake();
}

}  // namespace entrepot
