#include "load/plan.h"

#include "entrepot/base/log.h"
#include "entrepot/oci/manifest.h"
#include "load/cpu_meter.h"
#include "load/mix.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace entrepot::load {
namespace {

constexpr std::size_t mix_bytes_max = 256 * MiB;
constexpr std::size_t log_bytes_max = 8 * GiB;
constexpr std::size_t password_bytes_max = 64 * KiB;
constexpr std::size_t own_descriptors = 64;  // rings, logs, files

/// The text of a file, or nothing and why.
std::optional<std::string> read_file_text(const std::string& path, std::size_t bytes_max, std::string& why) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    std::string text;
    char piece[64 * KiB];
    while (file && text.size() <= bytes_max) {
        auto got = std::fread(piece, 1, sizeof piece, file.get());
        if (got == 0) break;
        text.append(piece, got);
    }
    if (!file || std::ferror(file.get())) {
        why = fmt::format("cannot read {}: {}", path, std::strerror(errno));
        return std::nullopt;
    }
    if (text.size() <= bytes_max) return text;
    why = fmt::format("{} is larger than {} MiB", path, bytes_max / MiB);
    return std::nullopt;
}

bool mentions(const std::vector<std::string>& headers, std::string_view name) {
    for (const auto& line : headers) {
        if (line.size() <= name.size() || line[name.size()] != ':') continue;
        if (strncasecmp(line.data(), name.data(), name.size()) == 0) return true;
    }
    return false;
}

std::string url_fields(const Options& options) {
    std::string lines;
    if (!mentions(options.headers, "user-agent")) lines += "User-Agent: entrepot-load/0.1.0\r\n";
    for (const auto& line : options.headers) lines += line + "\r\n";
    if (!options.keep_alive) lines += "Connection: close\r\n";
    return lines;
}

TargetHabits habits_of(const Options& options) {
    TargetHabits habits;
    habits.as_url = options.as_url;
    habits.plain_http = options.plain_http;
    habits.tls = options.insecure || !options.tls_ca.empty();
    habits.ns = options.ns;
    return habits;
}

void write_requests(const Plan& plan, Catalogue& catalogue) {
    catalogue.requests.reserve(catalogue.targets.size());
    for (const auto& target : catalogue.targets)
        catalogue.requests.push_back(target.is_image ? std::string() : url_request(plan, target.url, plan.options.head));
}

/// The targets of the command line, then those of the mix.
Result<void, std::string> read_targets(Plan& plan) {
    auto& options = plan.options;
    auto habits = habits_of(options);
    std::vector<double> weights;
    bool weighted = options.zipf > 0;
    for (const auto& text : options.targets) {
        auto target = parse_target(text, habits);
        if (!target) return target.error();
        plan.catalogue.targets.push_back(std::move(*target));
        weights.push_back(1);
    }
    if (!options.mix_file.empty()) {
        std::string why;
        auto text = read_file_text(options.mix_file, mix_bytes_max, why);
        if (!text) return why;
        auto mix = parse_mix(*text, options.mix_file, habits);
        if (!mix) return mix.error();
        for (auto& target : mix->targets) plan.catalogue.targets.push_back(std::move(target));
        weights.insert(weights.end(), mix->weights.begin(), mix->weights.end());
        for (double weight : mix->weights) weighted |= weight != 1;
    }
    if (weighted) plan.catalogue.popularity = std::make_unique<Popularity>(weights, options.zipf);
    return {};
}

Result<void, std::string> read_probes(Plan& plan) {
    auto habits = habits_of(plan.options);
    habits.as_url = true;
    for (const auto& text : plan.options.probes) {
        if (text.find("://") == text.npos) return fmt::format("--probe takes a URL, not '{}'", escaped(text, 200));
        auto target = parse_target(text, habits);
        if (!target) return target.error();
        plan.probes.emplace_back().targets.push_back(std::move(*target));
    }
    return {};
}

Result<void, std::string> read_schedule(Plan& plan) {
    const auto& options = plan.options;
    if (options.mode == Mode::steady) plan.schedule = Schedule::steady(options.rate, options.warmup + options.duration);
    if (options.mode == Mode::storm) plan.schedule = Schedule::storm(options.storm_nodes, options.storm_within);
    if (options.mode != Mode::replay) return {};
    std::string why;
    auto text = read_file_text(options.replay_file, log_bytes_max, why);
    if (!text) return why;
    auto log = parse_access_log(*text, options.replay_file);
    if (!log) return log.error();
    plan.log = std::make_shared<const AccessLog>(std::move(*log));
    plan.schedule = Schedule::replay(plan.log, options.speed, options.duration);
    const auto& targets = plan.catalogue.targets;
    plan.replays_paths =
        targets.size() == 1 && !targets[0].is_image && targets[0].url.path == "/" && targets[0].url.query.empty();
    return {};
}

Result<void, std::string> look_up_servers(Plan& plan) {
    auto add = [&plan](const Catalogue& catalogue) -> Result<void, std::string> {
        const Origin* last = nullptr;
        for (const auto& target : catalogue.targets) {
            if (last && *last == target.url.origin) continue;
            last = &target.url.origin;
            auto added = plan.reach.add_server(*last);
            if (!added) return added;
        }
        return {};
    };
    auto added = add(plan.catalogue);
    for (auto probe = plan.probes.begin(); added && probe != plan.probes.end(); ++probe) added = add(*probe);
    for (auto host = plan.options.follow.begin(); added && host != plan.options.follow.end(); ++host)
        added = plan.reach.add_follow(*host);
    return added;
}

Result<void, std::string> read_sources(Plan& plan) {
    for (const auto& text : plan.options.sources) {
        auto address = Address::parse(text, 0);
        if (!address) return fmt::format("--source takes an IP address of this machine, not '{}'", text);
        plan.sources.push_back(*address);
    }
    return {};
}

Result<void, std::string> read_trust(Plan& plan) {
    if (plan.options.insecure) {
        plan.tls = TlsClientContext::trusting_anybody();
        return {};
    }
    auto uses_tls = [](const Catalogue& catalogue) {
        for (const auto& target : catalogue.targets)
            if (target.url.origin.is_tls()) return true;
        return false;
    };
    bool needed = uses_tls(plan.catalogue) || !plan.options.tls_ca.empty() || !plan.options.follow.empty();
    for (const auto& probe : plan.probes) needed |= uses_tls(probe);
    if (!needed) return {};
    auto loaded = TlsClientContext::load(plan.options.tls_ca);
    if (!loaded) return loaded.error();
    plan.tls = std::move(*loaded);
    return {};
}

Result<void, std::string> read_login(Plan& plan) {
    if (plan.options.password_file.empty()) return {};
    std::string why;
    auto text = read_file_text(plan.options.password_file, password_bytes_max, why);
    if (!text) return why;
    plan.password = text->substr(0, text->find_first_of("\r\n"));
    if (plan.password.empty()) return fmt::format("{} begins with an empty line: no password", plan.options.password_file);
    return {};
}

void read_platform(Plan& plan) {
    std::string_view text = plan.options.platform;
    auto first = text.find('/'), second = text.find('/', first + 1);
    plan.platform_os = text.substr(0, first);
    plan.platform_architecture = text.substr(first + 1, second - first - 1);
    if (second != text.npos) plan.platform_variant = text.substr(second + 1);
}

/// Raises the limit of descriptors as far as it goes, and says when that is not enough.
Result<void, std::string> check_descriptors(const Plan& plan) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const auto& options = plan.options;
    bool opens_many = plan.options.mode == Mode::closed || plan.options.mode == Mode::at_once || plan.options.mode == Mode::storm;
    auto wanted = (opens_many ? plan.nodes() : 0) + options.idle + options.probes.size() + own_descriptors;
    if (wanted <= files.rlim_max) return {};
    return fmt::format(
        "{} connections need more descriptors than this process may have ({}): raise its hard limit (ulimit -Hn) or ask for fewer",
        wanted - own_descriptors, files.rlim_max);
}

}  // namespace

std::string url_request(const Plan& plan, const Url& url, bool head) {
    std::string accept;
    if (url.path.find("/manifests/") != url.path.npos && !mentions(plan.options.headers, "accept"))
        accept = fmt::format("Accept: {}\r\n", manifest_accept);
    return fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}{}", head ? "HEAD" : "GET", url.target(), url.origin.authority(), accept,
                       plan.url_lines);
}

Result<Plan, std::string> make_plan(const Options& options) {
    Plan plan;
    plan.options = options;
    plan.profile = *find_client_profile(options.client);
    plan.url_lines = url_fields(options);
    read_platform(plan);
    for (auto step : {&read_targets, &read_probes, &read_schedule, &read_sources, &read_login, &read_trust, &look_up_servers}) {
        auto done = step(plan);
        if (!done) return done.error();
    }
    auto meter = CpuMeter::of(options.server_pids);
    if (!meter) return meter.error();
    auto enough = check_descriptors(plan);
    if (!enough) return enough.error();
    write_requests(plan, plan.catalogue);
    for (auto& probe : plan.probes) write_requests(plan, probe);
    return plan;
}

}  // namespace entrepot::load
