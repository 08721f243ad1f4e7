#include "catalogue.h"

#include <fmt/format.h>

#include <sstream>

namespace entrepot::sim {
namespace {

constexpr const char* manifest_type = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
constexpr const char* config_type = "application/vnd.oci.image.config.v1+json";

std::string random_bytes(Random& random, std::uint64_t length) {
    std::string bytes(length, '\0');
    for (std::uint64_t i = 0; i < length; i += 8) {
        auto word = random.next();
        bytes.replace(i, std::min<std::uint64_t>(8, length - i), reinterpret_cast<const char*>(&word),
                      std::min<std::uint64_t>(8, length - i));
    }
    return bytes;
}

/// Around the bounds of the program: the small body kept in memory, the withheld tail, the page, the chunk and the fill buffer.
std::uint64_t drawn_size(Random& random, std::uint64_t largest) {
    constexpr std::uint64_t bounds[] = {0, 1, 4096, 32 * KiB, 64 * KiB, 128 * KiB, 256 * KiB, 512 * KiB, MiB};
    if (random.chance(0.5)) return random.skewed(largest);
    auto bound = random.pick(bounds) + random.below(3);
    return std::min(largest, bound == 0 ? 0 : bound - 1);
}

}  // namespace

Catalogue::Catalogue(Random random, const Options& options) {
    auto repository_count = 1 + random.below(options.repositories_max);
    for (std::uint64_t i = 0; i < repository_count; ++i) {
        auto& repository = repositories_.emplace_back();
        repository.name = i == 0 ? "library/base" : fmt::format("team/app{}", i);
    }
    auto blob_count = 1 + random.below(options.blobs_max);
    for (std::uint64_t i = 0; i < blob_count; ++i) {
        auto algorithm = random.chance(0.1) ? DigestAlgorithm::sha512 : DigestAlgorithm::sha256;
        auto digest = add(random_bytes(random, drawn_size(random, options.blob_bytes_max)), {}, algorithm);
        random.pick(repositories_).blobs.insert(digest);
        if (random.chance(0.3)) random.pick(repositories_).blobs.insert(digest);
    }
    for (auto& repository : repositories_) add_manifests(repository, random);
}

std::string Catalogue::add(std::string bytes, std::string media_type, DigestAlgorithm algorithm) {
    auto digest = Digest::of(bytes_of(bytes), algorithm);
    auto text = digest.text();
    contents_.emplace(text, Content{digest, std::move(bytes), std::move(media_type)});
    return text;
}

void Catalogue::add_manifests(Repository& repository, Random& random) {
    auto config =
        add(fmt::format(R"({{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}},"repository":"{}"}})",
                        repository.name),
            {}, DigestAlgorithm::sha256);
    repository.blobs.insert(config);
    auto manifest_count = 1 + random.below(3);
    for (std::uint64_t i = 0; i < manifest_count; ++i) {
        std::string layers;
        for (const auto& blob : repository.blobs) {
            if (blob == config || random.chance(0.3)) continue;
            layers += fmt::format(R"({}{{"mediaType":"{}","digest":"{}","size":{}}})", layers.empty() ? "" : ",", layer_type,
                                  blob, contents_.at(blob).bytes.size());
        }
        auto text = fmt::format(
            R"({{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{}","size":{}}},"layers":[{}],"annotations":{{"number":"{}"}}}})",
            manifest_type, config_type, config, contents_.at(config).bytes.size(), layers, i);
        auto digest = add(std::move(text), manifest_type, DigestAlgorithm::sha256);
        repository.manifests.insert(digest);
        auto tag = fmt::format("v{}", random.below(manifest_count));
        repository.tags[tag] = digest;
        repository.tag_history[tag].insert(digest);
    }
}

const Content* Catalogue::find(const std::string& digest) const {
    auto found = contents_.find(digest);
    return found == contents_.end() ? nullptr : &found->second;
}

std::uint64_t Catalogue::names_of(const std::string& digest) const {
    std::uint64_t names = 0;
    for (const auto& repository : repositories_) {
        names += repository.manifests.contains(digest);
        for (const auto& [tag, history] : repository.tag_history) names += history.contains(digest);
    }
    return names;
}

Repository* Catalogue::find_repository(const std::string& name) {
    for (auto& repository : repositories_) {
        if (repository.name == name) return &repository;
    }
    return nullptr;
}

void Catalogue::move_a_tag(Random& random) {
    auto& repository = random.pick(repositories_);
    auto tag = std::next(repository.tags.begin(), static_cast<std::ptrdiff_t>(random.below(repository.tags.size())));
    auto manifest =
        std::next(repository.manifests.begin(), static_cast<std::ptrdiff_t>(random.below(repository.manifests.size())));
    tag->second = *manifest;
    repository.tag_history[tag->first].insert(*manifest);
}

std::string Catalogue::save_tags() const {
    std::string saved;
    for (const auto& repository : repositories_) {
        for (const auto& [tag, history] : repository.tag_history) {
            for (const auto& digest : history) saved += fmt::format("{} {} {} was\n", repository.name, tag, digest);
            saved += fmt::format("{} {} {} is\n", repository.name, tag, repository.tags.at(tag));
        }
    }
    return saved;
}

void Catalogue::load_tags(std::string_view saved) {
    std::istringstream lines{std::string(saved)};
    std::string name, tag, digest, kind;
    while (lines >> name >> tag >> digest >> kind) {
        auto& repository = *find_repository(name);
        repository.tag_history[tag].insert(digest);
        if (kind == "is") repository.tags[tag] = digest;
    }
}

std::string Catalogue::unknown_digest(Random& random) {
    return fmt::format("sha256:{:016x}{:016x}{:016x}{:016x}", random.next(), random.next(), random.next(), random.next());
}

}  // namespace entrepot::sim
