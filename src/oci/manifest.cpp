#include "entrepot/oci/manifest.h"

#include "entrepot/base/assert.h"

#include "oci/manifest_keys.h"
#include "oci/media_type.h"

#include <nlohmann/json.hpp>

#include <array>

namespace entrepot {

namespace {

enum class Place : std::uint8_t {
    document,
    descriptor_list,  // the array under layers, manifests or blobs
    descriptor,
    platform,
    urls,
    ignored,  // anything whose content we do not look at
};

struct Frame {
    Place place = Place::ignored;
    DescriptorRole role = DescriptorRole::layer;  // of the descriptors in the list
    std::uint32_t seen = 0;                       // members that occurred, a bit for each ManifestKey
};

constexpr std::uint32_t bit_of(ManifestKey key) noexcept { return 1u << static_cast<unsigned>(key); }

// Receives the parser's events (nlohmann's SAX interface; its parser keeps its own state on the heap and does not recurse). A
// "fault" ends the scan; a "doubt" is kept and counts only if the document turns out to be of a kind that we interpret, since
// `mediaType` may come last.
class ManifestReader {
  public:
    bool null() { return value_of_other_type(true); }
    bool boolean(bool) { return value_of_other_type(false); }
    bool number_integer(std::int64_t) { return number(std::nullopt); }  // negative, or "-0"
    bool number_unsigned(std::uint64_t value) { return number(value); }
    bool number_float(double, const std::string&) { return number(std::nullopt); }  // the double is never looked at
    bool binary(std::vector<std::uint8_t>&) { return fail(ManifestFault::not_json); }

    bool string(std::string& value) {
        if (depth_ == 0) return fail(ManifestFault::not_json);
        switch (top().place) {
            case Place::document: return document_text(value);
            case Place::descriptor: descriptor_text(value); return true;
            case Place::platform: platform_text(value); return true;
            case Place::urls: manifest_.descriptors.back().foreign = true; return true;
            case Place::descriptor_list: doubt(ManifestFault::bad_descriptor); return true;
            case Place::ignored: return true;
        }
        return true;
    }

    bool key(std::string& name) {
        key_ = ManifestKey::none;
        KeyPlace place = KeyPlace::document;
        switch (top().place) {
            case Place::document: break;
            case Place::descriptor: place = KeyPlace::descriptor; break;
            case Place::platform: place = KeyPlace::platform; break;
            default: return true;
        }
        const KeyMatch match = match_key(place, name);
        if (match.key == ManifestKey::none) return true;
        const bool twice = top().seen & bit_of(match.key);
        top().seen |= bit_of(match.key);
        key_ = match.key;
        return (match.exact && !twice) || ambiguous_key(match.key);
    }

    bool start_object(std::size_t) {
        Frame frame;
        if (depth_ == 0) {
            frame.place = Place::document;
        } else if (const auto role = role_of_object()) {
            if (manifest_.descriptors.size() == descriptors_max) return fail(ManifestFault::too_many_descriptors);
            manifest_.descriptors.emplace_back().role = *role;
            frame.place = Place::descriptor;
        } else if (top().place == Place::descriptor && key_ == ManifestKey::platform) {
            frame.place = Place::platform;
        } else {
            doubt_misplaced();
        }
        return push(frame);
    }

    bool end_object() {
        const std::uint32_t needed = bit_of(ManifestKey::digest) | bit_of(ManifestKey::size);
        if (top().place == Place::descriptor && (top().seen & needed) != needed) doubt(ManifestFault::bad_descriptor);
        if (top().place == Place::document) document_seen_ = top().seen;
        return pop();
    }

    bool start_array(std::size_t) {
        if (depth_ == 0) return fail(ManifestFault::not_json);
        Frame frame;
        if (const auto role = role_of_list()) {
            frame = {Place::descriptor_list, *role, 0};
        } else if (top().place == Place::descriptor && key_ == ManifestKey::urls) {
            frame.place = Place::urls;
        } else {
            doubt_misplaced();
        }
        return push(frame);
    }

    bool end_array() { return pop(); }

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) {
        return fail(ManifestFault::not_json);
    }

    Result<Manifest, ManifestFault> finish(bool complete) {
        if (!complete) return fault_.value_or(ManifestFault::not_json);
        const auto kind = judge();
        if (!kind) return kind.error();
        manifest_.kind = *kind;
        const bool opaque = *kind == ManifestKind::schema1 || *kind == ManifestKind::unknown;
        if (opaque) {
            manifest_.descriptors.clear();
        } else if (doubt_) {
            return *doubt_;
        }
        return std::move(manifest_);
    }

  private:
    Frame& top() noexcept {
        ASSERT(depth_ > 0);
        return frames_[depth_ - 1];
    }
    bool push(Frame frame) {
        if (depth_ == frames_.size()) return fail(ManifestFault::too_deep);
        frames_[depth_++] = frame;
        key_ = ManifestKey::none;
        return true;
    }
    bool pop() {
        ASSERT(depth_ > 0);
        --depth_;
        key_ = ManifestKey::none;
        return true;
    }
    bool fail(ManifestFault fault) {
        fault_ = fault;
        return false;
    }
    void doubt(ManifestFault fault) {
        if (!doubt_) doubt_ = fault;
    }

    // What decides the kind must be beyond doubt at once; the rest matters only for kinds that we interpret.
    bool ambiguous_key(ManifestKey key) {
        const bool decides =
            top().place == Place::document && (key == ManifestKey::media_type || key == ManifestKey::schema_version);
        if (decides) return fail(ManifestFault::ambiguous);
        doubt(ManifestFault::ambiguous);
        return true;
    }

    std::optional<DescriptorRole> role_of_object() noexcept {
        if (top().place == Place::descriptor_list) return top().role;
        if (top().place != Place::document) return std::nullopt;
        if (key_ == ManifestKey::config) return DescriptorRole::config;
        if (key_ == ManifestKey::subject) return DescriptorRole::subject;
        return std::nullopt;
    }
    std::optional<DescriptorRole> role_of_list() noexcept {
        if (top().place != Place::document) return std::nullopt;
        if (key_ == ManifestKey::layers || key_ == ManifestKey::blobs) return DescriptorRole::layer;
        if (key_ == ManifestKey::manifests) return DescriptorRole::manifest;
        return std::nullopt;
    }

    // An object or array where one of our members wants something else, or among descriptors.
    void doubt_misplaced() {
        if (key_ != ManifestKey::none || top().place == Place::descriptor_list) doubt(ManifestFault::bad_descriptor);
    }

    // null, true and false. Go writes an absent list as null, so null is the same as absent.
    bool value_of_other_type(bool is_null) {
        if (depth_ == 0) return fail(ManifestFault::not_json);
        const bool required = key_ == ManifestKey::digest || key_ == ManifestKey::size;
        if (!is_null || required || top().place == Place::descriptor_list) doubt_misplaced();
        return true;
    }

    bool number(std::optional<std::uint64_t> value) {
        if (depth_ == 0) return fail(ManifestFault::not_json);
        const Place place = top().place;
        if (place == Place::document && key_ == ManifestKey::schema_version) {
            schema_version_ = value.value_or(0);
        } else if (place == Place::descriptor && key_ == ManifestKey::size && value) {
            manifest_.descriptors.back().size = *value;
        } else {
            doubt_misplaced();
        }
        return true;
    }

    bool document_text(std::string& value) {
        if (key_ == ManifestKey::media_type) {
            if (!value.empty() && !is_media_type(value)) return fail(ManifestFault::type_conflict);
            manifest_.media_type = std::move(value);
        } else if (key_ == ManifestKey::artifact_type) {
            manifest_.artifact_type = std::move(value);
        } else {
            doubt_misplaced();
        }
        return true;
    }

    void descriptor_text(std::string& value) {
        Descriptor& descriptor = manifest_.descriptors.back();
        if (key_ == ManifestKey::digest) {
            const auto digest = Digest::parse(value);
            if (digest) descriptor.digest = *digest;
            if (!digest) doubt(ManifestFault::bad_descriptor);
        } else if (key_ == ManifestKey::media_type) {
            descriptor.media_type = std::move(value);
        } else if (key_ == ManifestKey::artifact_type) {
            descriptor.artifact_type = std::move(value);
        } else {
            doubt_misplaced();
        }
    }

    void platform_text(std::string& value) {
        Descriptor& descriptor = manifest_.descriptors.back();
        if (key_ == ManifestKey::os) descriptor.os = std::move(value);
        if (key_ == ManifestKey::architecture) descriptor.architecture = std::move(value);
        if (key_ == ManifestKey::variant) descriptor.variant = std::move(value);
    }

    bool has(ManifestKey key) const noexcept { return document_seen_ & bit_of(key); }

    Result<ManifestKind, ManifestFault> judge() const {
        const bool children = has(ManifestKey::manifests);
        const bool image_parts = has(ManifestKey::layers) || has(ManifestKey::config);
        const auto kind = manifest_.media_type.empty() ? kind_by_content(children, image_parts) : kind_by_type();
        if (kind == ManifestKind::schema1 || kind == ManifestKind::unknown) return kind;
        if (schema_version_ == 1) return ManifestFault::type_conflict;
        const bool index = kind == ManifestKind::index || kind == ManifestKind::docker_list;
        const bool artifact = kind == ManifestKind::artifact;
        if (index ? image_parts || has(ManifestKey::blobs) : children || (artifact && image_parts))
            return ManifestFault::ambiguous;
        return kind;
    }

    ManifestKind kind_by_content(bool children, bool image_parts) const noexcept {
        if (schema_version_ == 1) return ManifestKind::schema1;
        if (children) return ManifestKind::index;
        return image_parts ? ManifestKind::image : ManifestKind::unknown;
    }

    ManifestKind kind_by_type() const noexcept {
        const std::string_view type = manifest_.media_type;
        if (same_media_type(type, media_type::oci_image)) return ManifestKind::image;
        if (same_media_type(type, media_type::oci_index)) return ManifestKind::index;
        if (same_media_type(type, media_type::docker_image)) return ManifestKind::docker_image;
        if (same_media_type(type, media_type::docker_list)) return ManifestKind::docker_list;
        if (same_media_type(type, media_type::oci_artifact)) return ManifestKind::artifact;
        const bool schema1 =
            same_media_type(type, media_type::docker_schema1) || same_media_type(type, media_type::docker_schema1_signed);
        return schema1 ? ManifestKind::schema1 : ManifestKind::unknown;
    }

    Manifest manifest_;
    std::array<Frame, manifest_depth_max> frames_;
    std::size_t depth_ = 0;
    ManifestKey key_ = ManifestKey::none;  // the member whose value comes next; none inside arrays
    std::uint64_t schema_version_ = 0;
    std::uint32_t document_seen_ = 0;
    std::optional<ManifestFault> fault_;
    std::optional<ManifestFault> doubt_;
};

}  // namespace

const Descriptor* Manifest::subject() const noexcept {
    for (const Descriptor& descriptor : descriptors) {
        if (descriptor.role == DescriptorRole::subject) return &descriptor;
    }
    return nullptr;
}

std::string_view name_of(ManifestFault fault) noexcept {
    switch (fault) {
        case ManifestFault::not_json: return "is not one JSON object";
        case ManifestFault::too_large: return "is larger than 4 MiB";
        case ManifestFault::too_deep: return "is nested deeper than 32 levels";
        case ManifestFault::too_many_descriptors: return "has more than 10,000 descriptors";
        case ManifestFault::ambiguous: return "can be read in two ways";
        case ManifestFault::bad_descriptor: return "has a descriptor without a valid digest and size";
        case ManifestFault::type_conflict: return "contradicts its own media type or the Content-Type";
    }
    return "is refused";
}

Result<Manifest, ManifestFault> parse_manifest(std::string_view json) {
    if (json.size() > manifest_bytes_max) return ManifestFault::too_large;
    ManifestReader reader;
    const bool complete = nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
    return reader.finish(complete);
}

}  // namespace entrepot
