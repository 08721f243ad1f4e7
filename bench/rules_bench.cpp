// Rule look-ups among 100,000 rules, and the request target before them: nanoseconds each, and the time to load the rules.
// Look-ups walk the rules in random order, so that the table's memory is cold as in a busy server; the request's own text was just
// received and is warm. Times are CPU times of the thread, since other work may share the machine.

#include "entrepot/oci/request_target.h"
#include "entrepot/rules/config.h"
#include "entrepot/rules/rule_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <numeric>
#include <random>
#include <string>
#include <vector>

using namespace entrepot;

namespace {

constexpr unsigned rule_count = 100'000;
constexpr unsigned lookup_count = 1'000'000;

double cpu_ns() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

struct Request {
    std::string repository;
    std::string ns;
};

// Half static rules, half wildcards of two depths, on a hundred login servers.
RuleText rule_number(unsigned i) {
    RuleText rule;
    rule.name = fmt::format("rule-{}", i);
    const std::string server = fmt::format("registry{}.example.com", i % 100);
    if (i % 2) {
        rule.target = fmt::format("team{}/service", i);
        rule.source = fmt::format("{}/org{}/service", server, i);
    } else {
        const char* const middle = i % 4 ? "/mirror" : "";
        rule.target = fmt::format("team{}{}/*", i, middle);
        rule.source = fmt::format("{}/org{}{}/*", server, i, middle);
    }
    return rule;
}

// A repository that rule `i` covers, named from our side.
std::string target_of(unsigned i) {
    return i % 2 ? fmt::format("team{}/service", i) : fmt::format("team{}{}/library/application", i, i % 4 ? "/mirror" : "");
}
std::string source_of(unsigned i) {
    return i % 2 ? fmt::format("org{}/service", i) : fmt::format("org{}{}/library/application", i, i % 4 ? "/mirror" : "");
}

template <typename Make>
std::vector<Request> requests(Make make) {
    std::vector<unsigned> order(rule_count);
    std::iota(order.begin(), order.end(), 0u);
    std::shuffle(order.begin(), order.end(), std::mt19937(7));
    std::vector<Request> all;  // made in the order in which they are used
    for (const unsigned i : order) all.push_back(make(i));
    return all;
}

void measure_lookups(const RuleTable& table, const char* what, const std::vector<Request>& requests, bool expected) {
    std::vector<double> rounds;
    for (int round = 0; round < 5; ++round) {
        unsigned found = 0;
        const double start = cpu_ns();
        for (unsigned i = 0; i < lookup_count; ++i) {
            RouteBuffer buffer;
            const Request& request = requests[i % requests.size()];
            found += table.find(request.repository, request.ns, buffer).has_value();
        }
        rounds.push_back((cpu_ns() - start) / lookup_count);
        if (found != (expected ? lookup_count : 0)) std::printf("wrong: %u found\n", found);
    }
    std::sort(rounds.begin(), rounds.end());
    std::printf("%-46s %8.1f ns  (median of 5; %.1f to %.1f)\n", what, rounds[2], rounds[0], rounds[4]);
}

void measure_parse(const char* what, const std::string& target) {
    std::vector<double> rounds;
    const std::string_view path = std::string_view(target).substr(0, target.find('?'));
    const std::string_view query = std::string_view(target).substr(std::min(path.size() + 1, target.size()));
    QueryScratch scratch;
    for (int round = 0; round < 5; ++round) {
        unsigned parsed = 0;
        const double start = cpu_ns();
        for (unsigned i = 0; i < lookup_count; ++i) {
            asm volatile("" ::"r"(target.data()) : "memory");  // the text may have changed, as far as the compiler knows
            parsed += parse_request_target(path, query, scratch).has_value();
        }
        rounds.push_back((cpu_ns() - start) / lookup_count);
        if (parsed != lookup_count) std::printf("wrong: %u parsed\n", parsed);
    }
    std::sort(rounds.begin(), rounds.end());
    std::printf("%-46s %8.1f ns  (median of 5; %.1f to %.1f)\n", what, rounds[2], rounds[0], rounds[4]);
}

void measure_load() {
    std::vector<RuleText> texts;
    std::string file;
    for (unsigned i = 0; i < rule_count; ++i) {
        texts.push_back(rule_number(i));
        file += fmt::format("[[cache_rule]]\nname = \"{}\"\nsource = \"{}\"\ntarget = \"{}\"\n", texts[i].name, texts[i].source,
                            texts[i].target);
    }
    double start = cpu_ns();
    const auto table = RuleTable::build(std::move(texts), {});
    std::printf("%-46s %8.1f ms  (%zu rules)\n", "build the table", (cpu_ns() - start) / 1e6, table ? table->rules().size() : 0);
    // What one change costs besides: the rules are parsed already and shared, the index is made anew.
    std::vector<double> changes;
    for (int round = 0; round < 5; ++round) {
        start = cpu_ns();
        auto changed = RuleTable::build(table->rules(), {});
        if (!changed) std::printf("wrong: %s\n", changed.error().message.c_str());
        changes.push_back((cpu_ns() - start) / 1e6);
    }
    std::sort(changes.begin(), changes.end());
    std::printf("%-46s %8.1f ms  (median of 5; %.1f to %.1f)\n", "build the next table of the same rules", changes[2], changes[0],
                changes[4]);
    start = cpu_ns();
    const auto config = Config::parse(file, "bench.toml");
    std::printf("%-46s %8.1f ms  (%zu rules, %.1f MiB of TOML)\n", "parse and check the configuration file",
                (cpu_ns() - start) / 1e6, config ? config->rules.size() : 0,
                static_cast<double>(file.size()) / static_cast<double>(MiB));
}

}  // namespace

int main() {
    measure_load();
    std::vector<RuleText> texts;
    for (unsigned i = 0; i < rule_count; ++i) texts.push_back(rule_number(i));
    texts.pop_back();
    RuleText hub;
    hub.name = "hub", hub.source = "docker.io/*", hub.target = "docker.io/*";
    texts.push_back(hub);
    const auto table = RuleTable::build(std::move(texts), {});
    if (!table) return std::printf("%s\n", table.error().message.c_str()), 1;

    const auto server = [](unsigned i) { return fmt::format("registry{}.example.com", i % 100); };
    const auto covered = [](unsigned i) { return i == rule_count - 1 ? 0 : i; };  // the last rule is the hub's
    measure_lookups(*table, "look up by target", requests([&](unsigned i) { return Request{target_of(covered(i)), ""}; }), true);
    measure_lookups(*table, "look up by ns (containerd)", requests([&](unsigned i) {
        return Request{source_of(covered(i)), server(covered(i))};
    }),
                    true);
    measure_lookups(*table, "look up by target and ns (BuildKit)", requests([&](unsigned i) {
        return Request{target_of(covered(i)), server(covered(i))};
    }),
                    true);
    measure_lookups(*table, "look up in root style", requests([](unsigned i) {
        return Request{fmt::format("library/app{}", i), ""};
    }),
                    true);
    measure_lookups(*table, "look up what no rule covers", requests([](unsigned i) {
        return Request{fmt::format("org{}/app", i), "example.org"};
    }),
                    false);

    const auto defaults = RuleTable::build(default_rules(), {});
    measure_lookups(*defaults, "default rules: look up by target", requests([](unsigned i) {
        return Request{fmt::format("docker.io/library/app{}", i), ""};
    }),
                    true);
    measure_lookups(*defaults, "default rules: look up by ns", requests([](unsigned i) {
        return Request{fmt::format("library/app{}", i), "docker.io"};
    }),
                    true);

    const std::string digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    measure_parse("request target: blob", "/v2/docker.io/library/alpine/blobs/" + digest);
    measure_parse("request target: blob with ns", "/v2/library/alpine/blobs/" + digest + "?ns=docker.io");
    measure_parse("request target: manifest by tag", "/v2/library/alpine/manifests/latest");
    measure_parse("request target: longest blob path",
                  "/v2/" + std::string(255, 'a') + "/blobs/sha512:" + digest.substr(7) + digest.substr(7));
    return 0;
}
