#pragma once
// What a manifest or index says, read by a bounded scanner. Manifests are stored and served as the bytes they are; this view
// only decides which media type to serve them under and what may be fetched next. It comes from strangers, so:
//   depth at most 32 without recursion · at most 10,000 descriptors · sizes as unsigned 64-bit integers, never through
//   floating point · a document that two readers could understand differently (layers and manifests at once, a key
//   twice, a key in another case, which Go's readers accept) is refused · `urls` and `data` are never followed or used.

#include "entrepot/base/result.h"
#include "entrepot/oci/digest.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

constexpr std::size_t manifest_bytes_max = 4 * MiB;  // what every registry accepts, and the spec asks for
constexpr int manifest_depth_max = 32;
constexpr std::size_t descriptors_max = 10'000;

namespace media_type {
constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view oci_image = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view oci_artifact = "application/vnd.oci.artifact.manifest.v1+json";
constexpr std::string_view docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view docker_image = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view docker_schema1 = "application/vnd.docker.distribution.manifest.v1+json";
constexpr std::string_view docker_schema1_signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
}  // namespace media_type

/// The `Accept` value of every manifest request we send upstream, whatever our client accepts: registries rewrite or refuse
/// a manifest whose type is not listed, and what we store must not depend on who asked first.
constexpr std::string_view manifest_accept =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.artifact.manifest.v1+json, application/vnd.docker.distribution.manifest.v1+prettyjws, "
    "application/vnd.docker.distribution.manifest.v1+json, */*";

enum class ManifestKind : std::uint8_t {
    image,         ///< OCI image manifest (also artifacts packed as images: see artifact_type)
    index,         ///< OCI image index
    docker_image,  ///< Docker schema 2
    docker_list,   ///< Docker manifest list
    artifact,      ///< the artifact manifest that a draft of the image spec had
    schema1,       ///< Docker schema 1: opaque
    unknown,       ///< a JSON object of a type we do not know: opaque
};

enum class DescriptorRole : std::uint8_t { config, layer, manifest, subject };

struct Descriptor {
    DescriptorRole role = DescriptorRole::layer;
    Digest digest;
    std::uint64_t size = 0;
    std::string media_type;
    std::string artifact_type;
    bool foreign = false;                   ///< has `urls`: its bytes live elsewhere and the registry may not have them
    std::string os, architecture, variant;  ///< of `platform`, empty when absent
};

struct Manifest {
    ManifestKind kind = ManifestKind::unknown;
    std::string media_type;               ///< the document's own `mediaType`, empty when absent
    std::string artifact_type;            ///< the document's own `artifactType`, empty when absent
    std::vector<Descriptor> descriptors;  ///< in the document's order; none for schema1 and unknown

    const Descriptor* subject() const noexcept;
    bool is_index() const noexcept { return kind == ManifestKind::index || kind == ManifestKind::docker_list; }
};

enum class ManifestFault : std::uint8_t {
    not_json,              ///< not one JSON object in UTF-8, or a number that no integer or double holds
    too_large,             ///< past manifest_bytes_max
    too_deep,              ///< past manifest_depth_max
    too_many_descriptors,  ///< past descriptors_max
    ambiguous,             ///< two readers could understand it differently
    bad_descriptor,        ///< a descriptor without a well-formed digest and size
    type_conflict,         ///< `mediaType`, content and Content-Type contradict each other
};

/// One phrase for messages and logs.
std::string_view name_of(ManifestFault fault) noexcept;

/// Reads `json`. Kinds schema1 and unknown are opaque: what their descriptors would be is neither checked nor returned.
Result<Manifest, ManifestFault> parse_manifest(std::string_view json);

/// A Content-Type without its parameters and the space around it.
std::string_view media_type_of(std::string_view content_type) noexcept;

/// Whether two media types are the same: parameters are ignored, letters have no case (RFC 9110, 8.3.1).
bool same_media_type(std::string_view left, std::string_view right) noexcept;

/// The media type to store and serve `manifest` under, given the Content-Type that upstream sent (empty when absent).
/// The document's own `mediaType` decides; a header that names another manifest type is refused (CVE-2021-41190), while a
/// generic one (text/plain, application/json, application/octet-stream, which odd registries send) says nothing.
/// Without `mediaType` the header decides if it fits the content, and the content if there is no header worth the name.
Result<std::string, ManifestFault> served_media_type(const Manifest& manifest, std::string_view content_type);

}  // namespace entrepot
