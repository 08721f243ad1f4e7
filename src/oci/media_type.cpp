#include "oci/media_type.h"

#include "entrepot/oci/manifest.h"

#include <array>

namespace entrepot {

namespace {

constexpr std::size_t media_type_bytes_max = 255;  // RFC 6838, 4.2: two names of at most 127 characters

constexpr std::array manifest_types{
    media_type::oci_index,    media_type::oci_image,      media_type::oci_artifact,         media_type::docker_list,
    media_type::docker_image, media_type::docker_schema1, media_type::docker_schema1_signed};

char lower(char letter) noexcept { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; }

bool is_restricted_name(std::string_view name) noexcept {
    if (name.empty()) return false;
    for (const char character : name) {
        const char letter = lower(character);
        const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
        if (!plain && std::string_view("!#$&-^_.+").find(letter) == std::string_view::npos) return false;
    }
    return true;
}

bool is_manifest_type(std::string_view type) noexcept {
    for (const std::string_view known : manifest_types) {
        if (same_media_type(type, known)) return true;
    }
    return false;
}

// Whether a header says anything about the content. text/plain, application/json, text/html and the like do not.
bool is_specific(std::string_view type) noexcept {
    return is_media_type(type) && type.size() > 16 && same_media_type(type.substr(0, 16), "application/vnd.");
}

std::string_view type_of_kind(ManifestKind kind) noexcept {
    switch (kind) {
        case ManifestKind::image: return media_type::oci_image;
        case ManifestKind::index: return media_type::oci_index;
        case ManifestKind::docker_image: return media_type::docker_image;
        case ManifestKind::docker_list: return media_type::docker_list;
        case ManifestKind::artifact: return media_type::oci_artifact;
        case ManifestKind::schema1: return media_type::docker_schema1_signed;
        case ManifestKind::unknown: break;
    }
    return "application/octet-stream";
}

// Whether content that does not name its type may be what the header says it is.
bool fits(ManifestKind kind, std::string_view type) noexcept {
    if (kind == ManifestKind::unknown || !is_manifest_type(type)) return true;
    switch (kind) {
        case ManifestKind::image:
            return same_media_type(type, media_type::oci_image) || same_media_type(type, media_type::docker_image);
        case ManifestKind::index:
            return same_media_type(type, media_type::oci_index) || same_media_type(type, media_type::docker_list);
        case ManifestKind::schema1:
            return same_media_type(type, media_type::docker_schema1) || same_media_type(type, media_type::docker_schema1_signed);
        default: return false;
    }
}

}  // namespace

std::string_view media_type_of(std::string_view content_type) noexcept {
    content_type = content_type.substr(0, content_type.find(';'));
    while (!content_type.empty() && (content_type.front() == ' ' || content_type.front() == '\t')) content_type.remove_prefix(1);
    while (!content_type.empty() && (content_type.back() == ' ' || content_type.back() == '\t')) content_type.remove_suffix(1);
    return content_type;
}

bool same_media_type(std::string_view left, std::string_view right) noexcept {
    left = media_type_of(left);
    right = media_type_of(right);
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (lower(left[i]) != lower(right[i])) return false;
    }
    return true;
}

bool is_media_type(std::string_view text) noexcept {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos || text.size() > media_type_bytes_max) return false;
    return is_restricted_name(text.substr(0, slash)) && is_restricted_name(text.substr(slash + 1));
}

Result<std::string, ManifestFault> served_media_type(const Manifest& manifest, std::string_view content_type) {
    const std::string_view header = media_type_of(content_type);
    const bool specific = is_specific(header);
    if (!manifest.media_type.empty()) {
        if (specific && !same_media_type(header, manifest.media_type)) return ManifestFault::type_conflict;
        return manifest.media_type;
    }
    if (!specific) return std::string(type_of_kind(manifest.kind));
    if (!fits(manifest.kind, header)) return ManifestFault::type_conflict;
    return std::string(header);
}

}  // namespace entrepot
