// Nanoseconds per head: how long the parser and the writer keep a request that is otherwise a hit. Plain figures of one core;
// the heads are what containerd 1.6 and docker 20 send, and what we answer.
//
//     ./build/bench/http_head_bench [ROUNDS]

#include "entrepot/http/accept.h"
#include "entrepot/http/date.h"
#include "entrepot/http/head_writer.h"
#include "entrepot/http/request_head.h"
#include "entrepot/http/response_head.h"
#include "entrepot/http/url.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

using namespace entrepot;

namespace {

const std::string digest = "sha256:23d0ba9d0c4b1ee2a83f8e5d2f1b4a0c9e6d7f8a1b2c3d4e5f60718293a4b5c6";

const std::string containerd_get =
    "GET /v2/library/busybox/blobs/" + digest +
    "?ns=docker.io HTTP/1.1\r\nHost: 127.0.0.1:5110\r\n"
    "User-Agent: containerd/1.6.20~ds1\r\nAccept: application/vnd.oci.image.layer.v1.tar+gzip, */*\r\n"
    "Accept-Encoding: gzip\r\n\r\n";

const std::string docker_head =
    "HEAD /v2/library/busybox/manifests/1.35 HTTP/1.1\r\nHost: 127.0.0.1:5110\r\n"
    "User-Agent: docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux arch/amd64 "
    "UpstreamClient(Docker-Client/20.10.24+dfsg1 \\(linux\\))\r\n"
    "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n"
    "Accept: application/vnd.docker.distribution.manifest.list.v2+json\r\nAccept: application/vnd.oci.image.index.v1+json\r\n"
    "Accept: application/vnd.oci.image.manifest.v1+json\r\nAccept: application/vnd.docker.distribution.manifest.v1+prettyjws\r\n"
    "Accept: application/json\r\nConnection: close\r\n\r\n";

const std::string upstream_answer =
    "HTTP/1.1 200 OK\r\nContent-Length: 1031739\r\nContent-Type: application/octet-stream\r\nDocker-Content-Digest: " + digest +
    "\r\nDocker-Distribution-Api-Version: registry/2.0\r\nEtag: \"" + digest +
    "\"\r\nCache-Control: max-age=31536000\r\n"
    "Accept-Ranges: bytes\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

// The best of ten runs: what the code costs, not what the machine was doing besides.
template <typename Work>
void measure(const char* what, std::size_t bytes, long rounds, Work work) {
    double best_ns = 1e18;
    for (int run = 0; run < 10; ++run) {
        const auto start = std::chrono::steady_clock::now();
        for (long i = 0; i < rounds; ++i) work();
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
        best_ns = std::min(best_ns, took.count() / static_cast<double>(rounds));
    }
    std::printf("%-52s %5zu bytes %8.1f ns\n", what, bytes, best_ns);
}

void must(bool holds) {
    if (!holds) std::abort();
}

void measure_requests(long rounds) {
    RequestHead head;
    RequestHeadParser parser;
    measure("request head: containerd GET blob", containerd_get.size(), rounds,
            [&] { must(parser.parse(containerd_get, head).state == ParseState::complete); });
    measure("request head: docker HEAD, 6 Accept lines", docker_head.size(), rounds,
            [&] { must(parser.parse(docker_head, head).state == ParseState::complete); });
    measure("request head: docker HEAD, one byte at a time", docker_head.size(), rounds / 100 + 1, [&] {
        for (std::size_t size = 1; size < docker_head.size(); ++size)
            must(parser.parse({docker_head.data(), size}, head).state == ParseState::incomplete);
        must(parser.parse(docker_head, head).state == ParseState::complete);
    });
    must(parser.parse(docker_head, head).state == ParseState::complete);
    measure("accepts: docker's 6 lines, the last one fits", 0, rounds, [&] { must(accepts(head.accept, "application/json")); });
    measure("find_query: ns", 0, rounds, [&] { must(find_query("ns=docker.io", "ns").has_value()); });
}

void measure_responses(long rounds) {
    ResponseHead head;
    ResponseHeadParser parser;
    measure("response head: registry's answer to GET blob", upstream_answer.size(), rounds,
            [&] { must(parser.parse(upstream_answer, head).state == ParseState::complete); });
    std::array<char, 1024> buffer;
    DateText date;
    measure("head writer: our answer to GET blob", 0, rounds, [&] {
        HeadWriter writer(buffer);
        writer.status_line(200)
            .field("Date", date.at(1790000000))
            .field("Content-Length", 1031739)
            .field("Content-Type", "application/octet-stream")
            .field("Docker-Content-Digest", digest)
            .field("ETag", digest)
            .prepared("Docker-Distribution-Api-Version: registry/2.0\r\nAccept-Ranges: bytes\r\nX-Entrepot-Cache: hit\r\n");
        must(writer.finish().has_value());
    });
}

}  // namespace

int main(int argc, char** argv) {
    const long rounds = argc > 1 ? std::max(1L, std::atol(argv[1])) : 200'000;
    measure_requests(rounds);
    measure_responses(rounds);
}
