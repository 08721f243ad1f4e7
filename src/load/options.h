#pragma once
// What the user asked for on the command line, checked: whoever holds Options need not look for contradictions.

#include "entrepot/base/clock.h"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::load {

enum class Mode : std::uint8_t {
    closed,   ///< everybody asks again as soon as the answer is there
    at_once,  ///< everybody connects, then all ask once at the same moment
    steady,   ///< open loop: at a rate
    storm,    ///< open loop: so many nodes within a time, each pulls once
    replay,   ///< open loop: as a log has it
    idle,     ///< nothing but idle connections
};
std::string_view name_of(Mode mode) noexcept;

struct Options {
    Mode mode = Mode::closed;
    std::vector<std::string> targets;
    std::string mix_file, replay_file;
    double zipf = 0;
    std::uint64_t seed = 1;

    std::size_t connections = 1;
    std::size_t threads = 1;
    Duration duration{0};  ///< never zero after parsing: every mode has its bound
    Duration warmup{0};
    std::uint64_t requests = 0;  ///< 0: no such limit
    double rate = 0;
    std::size_t storm_nodes = 0;
    Duration storm_within{0};
    double speed = 1;
    bool at_once = false;
    std::size_t idle = 0;
    std::uint64_t slow_reader = 0;  ///< bytes a second; 0: as fast as they come
    std::vector<std::string> probes;
    double probe_rate = 100;

    std::string client = "containerd";
    std::string platform = "linux/amd64";
    std::string ns;
    bool as_url = false, head = false, keep_alive = true;
    std::vector<std::string> headers;
    bool verify = false;
    std::size_t verify_clients = SIZE_MAX;  ///< with `verify`: only the first so many

    std::string tls_ca;
    bool insecure = false, plain_http = false;
    std::string user, password_file;
    std::vector<std::string> follow;   ///< HOST or HOST:PORT where redirects and token realms may lead
    std::vector<std::string> sources;  ///< local addresses that connections come from

    Duration timeout = std::chrono::seconds(30);
    std::vector<pid_t> server_pids;
    bool json = false, quiet = false, realtime = false, busy_poll = false;
    std::string plot_file, report_file;
};

}  // namespace entrepot::load
