#pragma once
// What the command line asks for, and the request that it means.

#include "herd/process.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/types.h>

#include <charconv>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::bench {

constexpr std::size_t clients_max = 19000;  // below the usual hard limit of 20,000 descriptors

struct Options {
    enum class Mode { none, get, loop, probe, hold } mode = Mode::none;
    std::vector<std::string> urls;
    std::vector<std::string> headers;
    std::string method = "GET";
    std::string sha256;
    std::size_t clients = 1;
    std::size_t verify = 0;
    double duration = 5;
    double warmup = 0.5;
    double rate = 1000;
    double deadline = 120;
    bool keepalive = true;
    bool realtime = false;
    std::vector<pid_t> server_pids;
};

struct Target {
    sockaddr_in address{};
    std::string path;
    std::string request;  // the whole head, ready to send
    std::string sha256;   // hex, from the path or --sha256; empty: unknown
};

inline std::string digest_in(std::string_view path) {
    const auto at = path.find("sha256:");
    if (at == std::string_view::npos) return {};
    const auto hex = path.substr(at + 7, 64);
    return hex.size() == 64 ? std::string(hex) : std::string();
}

inline Target target_of(const std::string& url, const Options& options) {
    constexpr std::string_view scheme = "http://";
    Target target;
    const auto slash = url.find('/', scheme.size());
    if (url.rfind(scheme, 0) != 0 || slash == std::string::npos) stop_with(2, "not an http://A.B.C.D:PORT/PATH: %s", url.c_str());
    const auto authority = url.substr(scheme.size(), slash - scheme.size());
    const auto colon = authority.find(':');
    unsigned port = 80;
    if (colon != std::string::npos) std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), port);
    target.address.sin_family = AF_INET;
    target.address.sin_port = htons(static_cast<std::uint16_t>(port));
    const auto host = authority.substr(0, colon);
    if (inet_pton(AF_INET, host.c_str(), &target.address.sin_addr) != 1 || host.rfind("127.", 0) != 0)
        stop_with(2, "only loopback addresses (127.x.x.x) are allowed: %s", url.c_str());
    target.path = url.substr(slash);
    target.sha256 = options.sha256.empty() ? digest_in(target.path) : options.sha256;
    target.request = options.method + " " + target.path + " HTTP/1.1\r\nHost: " + authority + "\r\n";
    for (const auto& header : options.headers) target.request += header + "\r\n";
    target.request += options.keepalive ? "\r\n" : "Connection: close\r\n\r\n";
    return target;
}

}  // namespace entrepot::bench
