#pragma once
// What real clients send for a manifest: docker 20.10 and containerd 1.6, as recorded on the wire.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace entrepot::bench {

inline std::string docker_request(std::string_view method, std::string_view target, std::string_view connection_line = "") {
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n"
        "User-Agent: docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux arch/amd64 "
        "UpstreamClient(Docker-Client/20.10.24+dfsg1 \\(linux\\))\r\n"
        "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n"
        "Accept: application/vnd.docker.distribution.manifest.list.v2+json\r\n"
        "Accept: application/vnd.oci.image.index.v1+json\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n"
        "Accept: application/vnd.docker.distribution.manifest.v1+prettyjws\r\nAccept: application/json\r\n"
        "Accept-Encoding: gzip\r\n{}\r\n",
        method, target, connection_line);
}

inline std::string containerd_request(std::string_view method, std::string_view target) {
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nUser-Agent: containerd/1.6.20~ds1\r\n"
        "Accept: application/vnd.oci.image.manifest.v1+json, */*\r\nAccept-Encoding: gzip\r\n\r\n",
        method, target);
}

}  // namespace entrepot::bench
