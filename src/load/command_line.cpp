#include "load/command_line.h"

#include "entrepot/base/log.h"
#include "entrepot/base/units.h"

#include "load/client_profile.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>

namespace entrepot::load {
namespace {

constexpr const char* about =
    "A registry client at scale: measures registries, caches and any HTTP/1.1 server.\n"
    "A TARGET is an image (HOST:PORT/NAME:TAG or the URL of a manifest: then its layers are pulled as --client does), or any other URL.\n"
    "It asks nobody whose address is not written down here.";

constexpr const char* examples =
    "Examples:\n"
    "  entrepot-load --connections 64 --duration 30s http://127.0.0.1:5000/v2/library/alpine/blobs/sha256:...\n"
    "      as many requests as 64 kept connections take; bodies are dropped inside the kernel\n"
    "  entrepot-load --storm 500 --within 10s --verify 127.0.0.1:5000/docker.io/library/debian:12\n"
    "      500 nodes pull one image within ten seconds, as containerd does; every digest is checked\n"
    "  entrepot-load --rate 2000 --duration 1m --mix catalogue.txt --zipf 0.9 --plot load.svg --report load.html\n"
    "      2,000 pulls a second whatever the server does; latency counts from the moment each was due\n"
    "  entrepot-load --connections 64 --duration 20s COLD_URL --probe HOT_URL --probe-rate 500\n"
    "      how a hot answer fares beside cold reads\n"
    "Exit: 0 every answer was complete and right, 1 some were not, 2 wrong usage.";

struct Words {
    std::string duration, warmup, within, timeout, slow_reader;
    bool no_keepalive = false;
};

/// Gathers the first complaint; later ones change nothing.
class Complaint {
  public:
    template <typename... Args>
    void unless(bool holds, fmt::format_string<Args...> form, Args&&... args) {
        if (holds || !text_.empty()) return;
        text_ = fmt::format(form, std::forward<Args>(args)...);
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

/// Options that stand together in the help.
class Group {
  public:
    Group(CLI::App& app, const char* name) : app_(app), name_(name) {}

    template <typename Value>
    void value(const char* names, Value& into, const char* type, const char* help) {
        app_.add_option(names, into, help)->type_name(type)->group(name_);
    }
    /// May be given several times, one word each time.
    template <typename Value>
    void values(const char* names, std::vector<Value>& into, const char* type, const char* help) {
        app_.add_option(names, into, help)->type_name(type)->group(name_)->allow_extra_args(false);
    }
    void flag(const char* names, bool& into, const char* help) { app_.add_flag(names, into, help)->group(name_); }

  private:
    CLI::App& app_;
    const char* name_;
};

void declare_load(Group load, Options& options, Words& words) {
    load.value("-c,--connections", options.connections, "N",
               "Connections, or nodes that pull [1]; of an open loop, the most at once [1000]");
    load.value("-d,--duration", words.duration, "TIME", "How long; where something else ends the load, its bound [10s; 10m]");
    load.value("-n,--requests", options.requests, "N", "End after so many (pulls, when targets are images)");
    load.flag("--at-once", options.at_once, "Everybody connects first, then all ask once at the same moment");
    load.value("--rate", options.rate, "R", "Open loop: so many a second; latency counts from when each was due");
    load.value("--storm", options.storm_nodes, "N", "So many nodes, each pulls once ...");
    load.value("--within", words.within, "TIME", "... spread over this time");
    load.value("--replay", options.replay_file, "FILE",
               "Asks again what an access log has: IBM registry trace (JSON) or common log format");
    load.value("--speed", options.speed, "X", "Replays so many times as fast [1]");
    load.value("--mix", options.mix_file, "FILE", "Targets from a file, one a line, with a weight behind it if you like");
    load.value("--zipf", options.zipf, "S", "Popularity of the k-th target is 1/k^S");
    load.value("--idle", options.idle, "N", "Connections that ask once and then stay, beside the load or alone");
    load.value("--slow-reader", words.slow_reader, "SIZE", "Each connection reads so many bytes a second, as 64KiB");
    load.values("--probe", options.probes, "URL",
                "Asked beside the load at --probe-rate, on a thread of its own; several may be given");
    load.value("--probe-rate", options.probe_rate, "R", "Probes a second, each URL [100]");
    load.value("--warmup", words.warmup, "TIME", "Not measured, before the duration [0s]");
    load.value("--threads", options.threads, "N", "Threads that make the load [1]");
    load.value("--seed", options.seed, "N", "Of the draws of --zipf and weights [1]");
}

void declare_requests(Group requests, Options& options, Words& words) {
    requests.value("--client", options.client, "NAME", "Pulls as containerd, docker or skopeo does [containerd]");
    requests.value("--platform", options.platform, "OS/ARCH", "Which image of an index [linux/amd64]");
    requests.value("--ns", options.ns, "HOST", "Adds ?ns=HOST, as containerd does towards a mirror");
    requests.flag("--as-url", options.as_url, "A manifest's URL is a URL like others, not an image");
    requests.flag("--head", options.head, "HEAD in place of GET, for URLs");
    requests.values("--header", options.headers, "LINE", "One more header line for URLs, 'Name: value'");
    requests.flag("--no-keepalive", words.no_keepalive, "A new connection for each request");
    requests.flag("--verify", options.verify, "Check every body against its digest");
    requests.value("--verify-clients", options.verify_clients, "N", "--verify for the first so many connections or nodes only");
    requests.value("--timeout", words.timeout, "TIME", "A request fails when nothing comes for so long [30s]");
}

void declare_peers(Group peers, Options& options) {
    peers.value("--tls-ca", options.tls_ca, "FILE", "Trust these certificates (PEM) in place of the system's");
    peers.flag("--insecure", options.insecure, "TLS with whoever answers: no certificate is checked");
    peers.flag("--plain-http", options.plain_http, "HOST/NAME:TAG means http:// (it does by itself on loopback)");
    peers.value("--user", options.user, "NAME", "Log in as, with --password-file");
    peers.value("--password-file", options.password_file, "FILE", "Its first line is the password");
    peers.values("--follow", options.follow, "HOST", "A further HOST or HOST:PORT that redirects and token realms may lead to");
    peers.values("--source", options.sources, "ADDR", "Local address to connect from; several take turns");
}

void declare_telling(Group telling, Options& options) {
    telling.values("--server-pid", options.server_pids, "PID", "CPU time of this process in the measured window; several add up");
    telling.flag("--json", options.json, "One JSON object in place of the table");
    telling.value("--plot", options.plot_file, "FILE.svg", "Throughput over time and latency percentiles, as SVG");
    telling.value("--report", options.report_file, "FILE.html", "Table and plots on one page");
    telling.flag("--quiet", options.quiet, "No progress while it runs");
    telling.flag("--realtime", options.realtime,
                 "Open loops and probes before all other processes (SCHED_FIFO), as if on a machine of their own");
    telling.flag("--busy-poll", options.busy_poll,
                 "Never sleep: a server on the same machine is not billed for waking the client. Takes a core of its own");
}

void declare(CLI::App& app, Options& options, Words& words) {
    app.add_option("TARGET", options.targets, "What to ask for; several are asked in turn, or as --zipf says");
    app.set_version_flag("--version", "entrepot-load 0.1.0");
    declare_load(Group(app, "Load"), options, words);
    declare_requests(Group(app, "Requests"), options, words);
    declare_peers(Group(app, "Who is asked, and how"), options);
    declare_telling(Group(app, "What is told"), options);
}

Duration time_of(const CLI::App& app, const char* name, const std::string& word, Duration otherwise, Duration least,
                 Complaint& complaint) {
    if (app.count(name) == 0) return otherwise;
    auto parsed = parse_duration(word);
    complaint.unless(parsed && *parsed >= least && *parsed <= duration_max,
                     "{} takes a time such as 250ms, 30s or 5m, at most 24h; not '{}'", name, word);
    return parsed.value_or(otherwise);
}

Mode mode_of(const Options& options, const CLI::App& app) {
    if (options.at_once) return Mode::at_once;
    if (app.count("--rate")) return Mode::steady;
    if (app.count("--storm")) return Mode::storm;
    if (app.count("--replay")) return Mode::replay;
    bool only_idle = options.idle > 0 && !app.count("--connections") && !app.count("--requests");
    return only_idle ? Mode::idle : Mode::closed;
}

bool is_header_line(const std::string& line) {
    auto colon = line.find(':');
    bool clean = std::all_of(line.begin(), line.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
    return clean && colon != line.npos && colon > 0 && line.find(' ') > colon;
}

void check_load(const Options& options, const CLI::App& app, Complaint& complaint) {
    auto modes =
        int(options.at_once) + int(app.count("--rate") > 0) + int(app.count("--storm") > 0) + int(app.count("--replay") > 0);
    complaint.unless(modes <= 1, "--at-once, --rate, --storm and --replay are different loads: give one of them");
    complaint.unless(app.count("--storm") == app.count("--within"), "--storm N and --within TIME go together");
    complaint.unless(!app.count("--speed") || options.mode == Mode::replay, "--speed is for --replay");
    complaint.unless(!app.count("--requests") || options.mode == Mode::closed,
                     "--requests is for a closed loop; elsewhere the load itself says how many");
    complaint.unless(!app.count("--requests") || options.requests > 0, "--requests is at least 1");
    complaint.unless(options.connections >= 1 && options.connections <= connections_max, "--connections is 1 to {}",
                     connections_max);
    complaint.unless(!app.count("--storm") || (options.storm_nodes >= 1 && options.storm_nodes <= connections_max),
                     "--storm is 1 to {}", connections_max);
    complaint.unless(options.idle <= connections_max, "--idle is at most {}", connections_max);
    complaint.unless(options.threads >= 1 && options.threads <= threads_max, "--threads is 1 to {}", threads_max);
    complaint.unless(options.threads <= options.connections || options.mode == Mode::storm, "more --threads than --connections");
    complaint.unless(!app.count("--rate") || (options.rate > 0 && options.rate <= rate_max),
                     "--rate is above 0 and at most {:.0f}", rate_max);
    complaint.unless(options.probe_rate > 0 && options.probe_rate <= rate_max, "--probe-rate is above 0 and at most {:.0f}",
                     rate_max);
    complaint.unless(!app.count("--probe-rate") || !options.probes.empty(), "--probe-rate is for --probe");
    complaint.unless(options.probes.size() <= probes_max, "at most {} probes", probes_max);
    complaint.unless(options.zipf >= 0 && options.zipf <= 10, "--zipf is 0 to 10");
    complaint.unless(options.speed > 0 && options.speed <= 1e6, "--speed is above 0 and at most 1000000");
    complaint.unless(options.mode != Mode::idle || options.warmup == Duration(0), "--warmup is for a load that is measured");
}

void check_requests(const Options& options, const CLI::App& app, Complaint& complaint) {
    complaint.unless(!options.targets.empty() || !options.mix_file.empty(),
                     "no TARGET: write HOST:PORT/NAME:TAG, a URL, or --mix FILE (see --help)");
    complaint.unless(find_client_profile(options.client).has_value(), "--client is containerd, docker or skopeo, not '{}'",
                     options.client);
    auto slash = options.platform.find('/');
    complaint.unless(slash != options.platform.npos && slash > 0 && slash + 1 < options.platform.size(),
                     "--platform is OS/ARCH or OS/ARCH/VARIANT, not '{}'", options.platform);
    complaint.unless(options.headers.size() <= headers_max, "at most {} headers", headers_max);
    for (const auto& line : options.headers)
        complaint.unless(is_header_line(line), "--header takes 'Name: value' in printable ASCII, not '{}'", line);
    complaint.unless(!app.count("--verify-clients") || options.verify, "--verify-clients is for --verify");
    complaint.unless(!options.verify || !options.head, "--verify needs bodies: not with --head");
    complaint.unless(options.tls_ca.empty() || !options.insecure,
                     "--insecure checks no certificate, so --tls-ca has no meaning beside it");
    complaint.unless(!options.plain_http || (options.tls_ca.empty() && !options.insecure),
                     "--plain-http is no TLS: leave --tls-ca and --insecure away");
    complaint.unless(options.user.empty() == options.password_file.empty(), "--user and --password-file go together");
    complaint.unless(options.user.find(':') == options.user.npos, "a user name with ':' cannot be sent (RFC 7617)");
    complaint.unless(options.follow.size() <= follows_max, "at most {} hosts to --follow", follows_max);
    complaint.unless(options.sources.size() <= sources_max, "at most {} --source addresses", sources_max);
}

}  // namespace

std::string_view name_of(Mode mode) noexcept {
    constexpr std::string_view names[] = {"closed", "at-once", "steady", "storm", "replay", "idle"};
    return names[static_cast<std::size_t>(mode)];
}

Result<Options, NoOptions> parse_command_line(const std::vector<std::string>& words) {
    CLI::App app{about, "entrepot-load"};
    app.footer(examples);
    Options options;
    Words texts;
    declare(app, options, texts);
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    } catch (const CLI::CallForHelp&) {
        return NoOptions{0, app.help()};
    } catch (const CLI::CallForVersion& version) {
        return NoOptions{0, std::string(version.what()) + "\n"};
    } catch (const CLI::ParseError& error) {
        return NoOptions{2, escaped(error.what())};
    }

    Complaint complaint;
    options.mode = mode_of(options, app);
    options.keep_alive = !texts.no_keepalive;
    bool ends_by_itself =
        options.requests > 0 || options.mode == Mode::at_once || options.mode == Mode::storm || options.mode == Mode::replay;
    options.duration =
        time_of(app, "--duration", texts.duration, ends_by_itself ? finite_duration : loop_duration, milliseconds(1), complaint);
    options.warmup = time_of(app, "--warmup", texts.warmup, Duration(0), Duration(0), complaint);
    options.storm_within = time_of(app, "--within", texts.within, Duration(0), Duration(0), complaint);
    options.timeout = time_of(app, "--timeout", texts.timeout, seconds(30), milliseconds(10), complaint);
    if (!app.count("--connections") && (options.mode == Mode::steady || options.mode == Mode::replay)) options.connections = 1000;
    if (app.count("--slow-reader")) {
        options.slow_reader = parse_size(texts.slow_reader).value_or(0);
        complaint.unless(options.slow_reader > 0, "--slow-reader takes bytes a second such as 64KiB, not '{}'",
                         texts.slow_reader);
    }
    check_load(options, app, complaint);
    check_requests(options, app, complaint);
    if (!complaint.text().empty()) return NoOptions{2, escaped(complaint.text())};
    return options;
}

}  // namespace entrepot::load
