#include "load/client_profile.h"

#include <fmt/format.h>

namespace entrepot::load {
namespace {

constexpr std::string_view any_manifest_containerd =
    "Accept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, */*\r\n";
// docker writes these lines in a new order each time; one order is enough to measure.
constexpr std::string_view any_manifest_docker =
    "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n"
    "Accept: application/vnd.docker.distribution.manifest.list.v2+json\r\n"
    "Accept: application/vnd.oci.image.index.v1+json\r\n"
    "Accept: application/vnd.docker.distribution.manifest.v1+prettyjws\r\n"
    "Accept: application/json\r\n"
    "Accept: application/vnd.oci.image.manifest.v1+json\r\n";
constexpr std::string_view any_manifest_skopeo =
    "Accept: application/vnd.oci.image.manifest.v1+json\r\n"
    "Accept: application/vnd.docker.distribution.manifest.v2+json\r\n"
    "Accept: application/vnd.docker.distribution.manifest.v1+prettyjws\r\n"
    "Accept: application/vnd.docker.distribution.manifest.v1+json\r\n"
    "Accept: application/vnd.docker.distribution.manifest.list.v2+json\r\n"
    "Accept: application/vnd.oci.image.index.v1+json\r\n"
    "Docker-Distribution-Api-Version: registry/2.0\r\n";

constexpr std::string_view agent_containerd = "User-Agent: containerd/1.6.20\r\n";
constexpr std::string_view agent_docker =
    "User-Agent: docker/20.10.24 go/go1.19.8 kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24 \\(linux\\))\r\n";
constexpr std::string_view agent_skopeo = "User-Agent: containers/5.34.2 (github.com/containers/image)\r\n";
constexpr std::string_view gzip = "Accept-Encoding: gzip\r\n";
constexpr std::string_view close_line = "Connection: close\r\n";

constexpr ClientProfile profiles[] = {
    {.name = "containerd",
     .heads_tag = true,
     .config_first = true,
     .posts_for_token = true,
     .logs_in_twice = true,
     .idle_connections_max = 2,
     .transfers_max = 64,  // it sets no limit; no image that was seen had more layers at once
     .resumes_max = 5,
     .agent = agent_containerd,
     .any_manifest = any_manifest_containerd,
     .accepts_media_type = true},
    {.name = "docker",
     .asks_base = true,
     .heads_tag = true,
     .keeps_connections = false,
     .transfers_max = 3,
     .resumes_max = 5,
     .resume_pause = seconds(5),
     .agent = agent_docker,
     .any_manifest = any_manifest_docker},
    {.name = "skopeo",
     .asks_base = true,
     .config_first = true,
     .idle_connections_max = 6,
     .transfers_max = 6,
     .resumes_max = 5,
     .resume_pause = seconds(1),
     .agent = agent_skopeo,
     .any_manifest = any_manifest_skopeo,
     .extra_lines = "Docker-Distribution-Api-Version: registry/2.0\r\n"},
};

std::string_view connection_line(const ClientProfile& profile) {
    return profile.keeps_connections ? std::string_view() : close_line;
}

}  // namespace

std::optional<ClientProfile> find_client_profile(std::string_view name) noexcept {
    for (const auto& profile : profiles)
        if (profile.name == name) return profile;
    return std::nullopt;
}

std::string manifest_lines(const ClientProfile& profile, std::string_view media_type, bool is_head) {
    bool knows = profile.accepts_media_type && !media_type.empty();
    std::string accept = knows ? fmt::format("Accept: {}, */*\r\n", media_type) : std::string(profile.any_manifest);
    return fmt::format("{}{}{}{}", profile.agent, accept, is_head ? std::string_view() : gzip, connection_line(profile));
}

std::string blob_lines(const ClientProfile& profile, std::string_view media_type, bool resumes) {
    bool knows = profile.accepts_media_type && !media_type.empty();
    std::string accept = knows ? fmt::format("Accept: {}, */*\r\n", media_type) : std::string(profile.extra_lines);
    return fmt::format("{}{}{}{}", profile.agent, accept, resumes ? std::string_view() : gzip, connection_line(profile));
}

std::string base_lines(const ClientProfile& profile) {
    return fmt::format("{}{}{}{}", profile.agent, profile.extra_lines, gzip, connection_line(profile));
}

}  // namespace entrepot::load
