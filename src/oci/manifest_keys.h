#pragma once
// The members of manifests and descriptors that decide what we do. A document is refused when one of them is there twice or in
// another case: Go's encoding/json, which nearly every client uses, takes "Layers" (and even "layer\u017f") for "layers", and of
// two the last, so such a document says one thing to us and another to them.

#include <cstdint>
#include <string_view>

namespace entrepot {

enum class ManifestKey : std::uint8_t {
    none,  ///< not one of ours
    schema_version,
    media_type,
    artifact_type,
    config,
    layers,
    manifests,
    blobs,
    subject,
    digest,
    size,
    urls,
    platform,
    os,
    architecture,
    variant,
};

enum class KeyPlace : std::uint8_t { document, descriptor, platform };

struct KeyMatch {
    ManifestKey key = ManifestKey::none;
    bool exact = true;  ///< false: only a reader that ignores case takes it for `key`
};

/// What `name` means as a member of `place`.
KeyMatch match_key(KeyPlace place, std::string_view name) noexcept;

}  // namespace entrepot
