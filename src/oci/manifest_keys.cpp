#include "oci/manifest_keys.h"

#include <array>
#include <span>

namespace entrepot {

namespace {

struct NamedKey {
    std::string_view name;
    std::string_view folded;
    ManifestKey key;
};

constexpr std::array document_keys{
    NamedKey{"schemaVersion", "schemaversion", ManifestKey::schema_version},
    NamedKey{"mediaType", "mediatype", ManifestKey::media_type},
    NamedKey{"artifactType", "artifacttype", ManifestKey::artifact_type},
    NamedKey{"config", "config", ManifestKey::config},
    NamedKey{"layers", "layers", ManifestKey::layers},
    NamedKey{"manifests", "manifests", ManifestKey::manifests},
    NamedKey{"blobs", "blobs", ManifestKey::blobs},
    NamedKey{"subject", "subject", ManifestKey::subject},
};
constexpr std::array descriptor_keys{
    NamedKey{"mediaType", "mediatype", ManifestKey::media_type},
    NamedKey{"digest", "digest", ManifestKey::digest},
    NamedKey{"size", "size", ManifestKey::size},
    NamedKey{"artifactType", "artifacttype", ManifestKey::artifact_type},
    NamedKey{"urls", "urls", ManifestKey::urls},
    NamedKey{"platform", "platform", ManifestKey::platform},
};
constexpr std::array platform_keys{
    NamedKey{"os", "os", ManifestKey::os},
    NamedKey{"architecture", "architecture", ManifestKey::architecture},
    NamedKey{"variant", "variant", ManifestKey::variant},
};

std::span<const NamedKey> keys_of(KeyPlace place) noexcept {
    switch (place) {
        case KeyPlace::document: return document_keys;
        case KeyPlace::descriptor: return descriptor_keys;
        case KeyPlace::platform: return platform_keys;
    }
    return {};
}

// Simple case folding as far as it can reach our ASCII names: letters, U+017F (long s) and U+212A (Kelvin sign).
class Folded {
  public:
    explicit Folded(std::string_view name) noexcept {
        while (!name.empty() && length_ < text_.size()) {
            if (name.starts_with("\xc5\xbf")) {
                append('s', 2, name);
            } else if (name.starts_with("\xe2\x84\xaa")) {
                append('k', 3, name);
            } else {
                const char letter = name.front();
                append(letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter, 1, name);
            }
        }
    }
    /// Longer names are cut, which makes them equal to none of ours: all of those are shorter.
    std::string_view text() const noexcept { return {text_.data(), length_}; }

  private:
    void append(char letter, std::size_t bytes, std::string_view& name) noexcept {
        text_[length_++] = letter;
        name.remove_prefix(bytes);
    }
    std::array<char, 16> text_;
    std::size_t length_ = 0;
};

}  // namespace

KeyMatch match_key(KeyPlace place, std::string_view name) noexcept {
    const auto keys = keys_of(place);
    for (const NamedKey& known : keys) {
        if (known.name == name) return {known.key, true};
    }
    const Folded folded(name);
    for (const NamedKey& known : keys) {
        if (known.folded == folded.text()) return {known.key, false};
    }
    return {};
}

}  // namespace entrepot
