#include "entrepot/rules/known_registries.h"

#include <array>

namespace entrepot {

namespace {

constexpr std::array<std::string_view, 1> docker_realms{"auth.docker.io"};
constexpr std::array<std::string_view, 1> gitlab_realms{"gitlab.com"};
constexpr std::array<std::string_view, 1> elastic_realms{"docker-auth.elastic.co"};

constexpr KnownRegistry known_registries[] = {
    {"docker.io", "registry-1.docker.io", docker_realms},
    {"registry.gitlab.com", "registry.gitlab.com", gitlab_realms},
    {"docker.elastic.co", "docker.elastic.co", elastic_realms},
};

// Artifact Registry has a host for each multi-region and region, and no common one: every place that offers it is listed.
constexpr std::string_view default_servers[] = {
    "docker.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "ghcr.io",
    "nvcr.io",
    "quay.io",
    "registry.k8s.io",
    "gcr.io",
    "us.gcr.io",
    "eu.gcr.io",
    "asia.gcr.io",
    "us-docker.pkg.dev",
    "europe-docker.pkg.dev",
    "asia-docker.pkg.dev",
    "africa-south1-docker.pkg.dev",
    "asia-east1-docker.pkg.dev",
    "asia-east2-docker.pkg.dev",
    "asia-northeast1-docker.pkg.dev",
    "asia-northeast2-docker.pkg.dev",
    "asia-northeast3-docker.pkg.dev",
    "asia-south1-docker.pkg.dev",
    "asia-south2-docker.pkg.dev",
    "asia-southeast1-docker.pkg.dev",
    "asia-southeast2-docker.pkg.dev",
    "australia-southeast1-docker.pkg.dev",
    "australia-southeast2-docker.pkg.dev",
    "europe-central2-docker.pkg.dev",
    "europe-north1-docker.pkg.dev",
    "europe-southwest1-docker.pkg.dev",
    "europe-west1-docker.pkg.dev",
    "europe-west2-docker.pkg.dev",
    "europe-west3-docker.pkg.dev",
    "europe-west4-docker.pkg.dev",
    "europe-west6-docker.pkg.dev",
    "europe-west8-docker.pkg.dev",
    "europe-west9-docker.pkg.dev",
    "europe-west10-docker.pkg.dev",
    "europe-west12-docker.pkg.dev",
    "me-central1-docker.pkg.dev",
    "me-central2-docker.pkg.dev",
    "me-west1-docker.pkg.dev",
    "northamerica-northeast1-docker.pkg.dev",
    "northamerica-northeast2-docker.pkg.dev",
    "northamerica-south1-docker.pkg.dev",
    "southamerica-east1-docker.pkg.dev",
    "southamerica-west1-docker.pkg.dev",
    "us-central1-docker.pkg.dev",
    "us-east1-docker.pkg.dev",
    "us-east4-docker.pkg.dev",
    "us-east5-docker.pkg.dev",
    "us-south1-docker.pkg.dev",
    "us-west1-docker.pkg.dev",
    "us-west2-docker.pkg.dev",
    "us-west3-docker.pkg.dev",
    "us-west4-docker.pkg.dev",
};

}  // namespace

const KnownRegistry* find_known_registry(std::string_view login_server) noexcept {
    for (const KnownRegistry& known : known_registries) {
        if (known.login_server == login_server) return &known;
    }
    return nullptr;
}

std::string_view canonical_login_server(std::string_view login_server) noexcept {
    if (login_server == "index.docker.io" || login_server == "registry-1.docker.io") return "docker.io";
    return login_server;
}

std::span<const std::string_view> default_login_servers() noexcept { return default_servers; }

}  // namespace entrepot
