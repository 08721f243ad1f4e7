#include "load/command_line.h"

#include <doctest/doctest.h>

using namespace entrepot;
using namespace entrepot::load;
using namespace std::chrono_literals;

namespace {

constexpr const char* url = "http://127.0.0.1:5000/v2/";

Options good(std::vector<std::string> words) {
    words.push_back(url);
    auto options = parse_command_line(words);
    if (!options) FAIL(options.error().text);
    return std::move(*options);
}

std::string complaint(std::vector<std::string> words, bool with_target = true) {
    if (with_target) words.push_back(url);
    auto options = parse_command_line(words);
    if (options) return "";
    CHECK(options.error().exit == 2);
    CHECK(options.error().text.find('\n') == std::string::npos);
    return options.error().text;
}

}  // namespace

TEST_CASE("command line: one target is a closed loop of one connection for ten seconds") {
    auto options = good({});
    CHECK(options.mode == Mode::closed);
    CHECK(options.connections == 1);
    CHECK(options.duration == 10s);
    CHECK(options.requests == 0);
    CHECK(options.keep_alive);
    CHECK(options.client == "containerd");
    CHECK(options.timeout == 30s);
}

TEST_CASE("command line: every load has its mode and its bound") {
    CHECK(good({"--requests", "100"}).duration == 10min);
    CHECK(good({"--requests", "100", "--duration", "5s"}).duration == 5s);
    auto at_once = good({"--at-once", "--connections", "50"});
    CHECK(at_once.mode == Mode::at_once);
    CHECK(at_once.duration == 10min);
    auto steady = good({"--rate", "2000"});
    CHECK(steady.mode == Mode::steady);
    CHECK(steady.connections == 1000);
    CHECK(steady.duration == 10s);
    auto storm = good({"--storm", "500", "--within", "10s"});
    CHECK(storm.mode == Mode::storm);
    CHECK(storm.storm_nodes == 500);
    CHECK(storm.storm_within == 10s);
    CHECK(good({"--replay", "log.json", "--speed", "10"}).mode == Mode::replay);
    CHECK(good({"--idle", "5000"}).mode == Mode::idle);
    CHECK(good({"--idle", "5000", "--connections", "8"}).mode == Mode::closed);
    CHECK(good({"--slow-reader", "64KiB"}).slow_reader == 64 * 1024);
    CHECK(!good({"--no-keepalive"}).keep_alive);
}

TEST_CASE("command line: what contradicts itself or passes a bound is refused in one line") {
    const std::pair<std::vector<std::string>, const char*> rows[] = {
        {{"--at-once", "--rate", "5"}, "--at-once, --rate, --storm and --replay are different loads: give one of them"},
        {{"--storm", "5"}, "--storm N and --within TIME go together"},
        {{"--within", "5s"}, "--storm N and --within TIME go together"},
        {{"--storm", "0", "--within", "5s"}, "--storm is 1 to 1000000"},
        {{"--speed", "2"}, "--speed is for --replay"},
        {{"--rate", "5", "--requests", "5"}, "--requests is for a closed loop; elsewhere the load itself says how many"},
        {{"--requests", "0"}, "--requests is at least 1"},
        {{"--connections", "0"}, "--connections is 1 to 1000000"},
        {{"--connections", "1000001"}, "--connections is 1 to 1000000"},
        {{"--threads", "2"}, "more --threads than --connections"},
        {{"--threads", "257", "--connections", "1000"}, "--threads is 1 to 256"},
        {{"--rate", "0"}, "--rate is above 0 and at most 10000000"},
        {{"--rate", "10000001"}, "--rate is above 0 and at most 10000000"},
        {{"--duration", "10"}, "--duration takes a time such as 250ms, 30s or 5m, at most 24h; not '10'"},
        {{"--duration", "25h"}, "--duration takes a time such as 250ms, 30s or 5m, at most 24h; not '25h'"},
        {{"--duration", "0s"}, "--duration takes a time such as 250ms, 30s or 5m, at most 24h; not '0s'"},
        {{"--zipf", "11"}, "--zipf is 0 to 10"},
        {{"--probe-rate", "5"}, "--probe-rate is for --probe"},
        {{"--slow-reader", "quickly"}, "--slow-reader takes bytes a second such as 64KiB, not 'quickly'"},
        {{"--client", "curl"}, "--client is containerd, docker or skopeo, not 'curl'"},
        {{"--platform", "linux"}, "--platform is OS/ARCH or OS/ARCH/VARIANT, not 'linux'"},
        {{"--header", "no colon"}, "--header takes 'Name: value' in printable ASCII, not 'no colon'"},
        {{"--header", "Bad name: x"}, "--header takes 'Name: value' in printable ASCII, not 'Bad name: x'"},
        {{"--verify-clients", "5"}, "--verify-clients is for --verify"},
        {{"--verify", "--head"}, "--verify needs bodies: not with --head"},
        {{"--tls-ca", "ca.pem", "--insecure"}, "--insecure checks no certificate, so --tls-ca has no meaning beside it"},
        {{"--plain-http", "--insecure"}, "--plain-http is no TLS: leave --tls-ca and --insecure away"},
        {{"--user", "bob"}, "--user and --password-file go together"},
        {{"--user", "a:b", "--password-file", "f"}, "a user name with ':' cannot be sent (RFC 7617)"},
    };
    for (const auto& [words, told] : rows) CHECK(complaint(words) == told);
    CHECK(complaint({}, false) == "no TARGET: write HOST:PORT/NAME:TAG, a URL, or --mix FILE (see --help)");
    CHECK(complaint({"--no-such-thing"}).find("--no-such-thing") != std::string::npos);
    CHECK(complaint({"--connections", "many"}).find("--connections") != std::string::npos);
    std::vector<std::string> probes;
    for (std::size_t count = 0; count <= probes_max; ++count) probes.insert(probes.end(), {"--probe", url});
    CHECK(complaint(probes) == "at most 8 probes");
}

TEST_CASE("command line: what may be given several times takes one word each time") {
    auto options = good({"--probe", "http://127.0.0.1/a", "--probe", "http://127.0.0.1/b", "--header", "A: 1", "--follow",
                         "h.example", "--source", "127.0.0.1", "--server-pid", "1"});
    CHECK(options.targets == std::vector<std::string>{url});
    CHECK(options.probes.size() == 2);
    CHECK(options.headers == std::vector<std::string>{"A: 1"});
    CHECK(options.server_pids == std::vector<pid_t>{1});
}

TEST_CASE("command line: a line break cannot enter a request") {
    CHECK(complaint({"--header", std::string("X: 1\r\nHost: other")}).find("--header takes") == 0);
}

TEST_CASE("command line: help has examples and is no error") {
    auto help = parse_command_line({"--help"});
    REQUIRE(!help);
    CHECK(help.error().exit == 0);
    for (const char* word : {"Examples:", "--storm", "--verify", "--plot", "Exit:"})
        CHECK(help.error().text.find(word) != std::string::npos);
    auto version = parse_command_line({"--version"});
    REQUIRE(!version);
    CHECK(version.error().exit == 0);
    CHECK(version.error().text == "entrepot-load 0.1.0\n");
}
