// Any bytes as a manifest, a tag list and a referrers index: the bounds hold, what is accepted is consistent, and what we write
// from it is JSON that we accept again.

#include "entrepot/base/assert.h"
#include "entrepot/oci/manifest.h"
#include "entrepot/oci/name.h"
#include "entrepot/oci/referrers.h"
#include "entrepot/oci/tags_list.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

using namespace entrepot;

namespace {

bool is_header_value(std::string_view text) {
    for (const char character : text) {
        if (character <= 0x20 || character >= 0x7f) return false;
    }
    return !text.empty();
}

void try_manifest(std::string_view json) {
    const auto manifest = parse_manifest(json);
    if (!manifest) return ASSERT(!name_of(manifest.error()).empty());
    ASSERT(manifest->descriptors.size() <= descriptors_max);
    const bool opaque = manifest->kind == ManifestKind::unknown || manifest->kind == ManifestKind::schema1;
    ASSERT(!opaque || manifest->descriptors.empty());
    for (const Descriptor& descriptor : manifest->descriptors) {
        const bool child = descriptor.role == DescriptorRole::manifest;
        const bool part = descriptor.role == DescriptorRole::config || descriptor.role == DescriptorRole::layer;
        ASSERT(manifest->is_index() ? !part : !child);
        ASSERT(Digest::parse(descriptor.digest.text()) == descriptor.digest);
    }
    for (const std::string_view header :
         {std::string_view(), std::string_view("text/plain"), media_type::oci_image, media_type::oci_index}) {
        const auto served = served_media_type(*manifest, header);
        ASSERT(served ? is_header_value(*served) : served.error() == ManifestFault::type_conflict);
    }
}

void try_tags(std::string_view json) {
    TagSet tags;
    if (!tags.add_page(json)) return ASSERT(tags.names().empty());
    const auto names = tags.names();
    for (std::size_t i = 0; i < names.size(); ++i) ASSERT(is_tag(names[i]) && (i == 0 || names[i - 1] < names[i]));
    TagSet again;
    ASSERT(again.add_page(tags_list_body("app", names)) && again.names().size() == names.size());
}

void try_referrers(std::string_view json) {
    ReferrerSet set;
    if (!set.add_page(json)) return ASSERT(set.size() == 0);
    const std::string body = set.index_body("");
    ReferrerSet again;
    if (body.size() > referrers_bytes_max) return;  // escapes make it longer
    ASSERT(again.add_page(body) && again.size() == set.size() && again.index_body("") == body);
    ASSERT(nlohmann::json::accept(set.index_body("a/b")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view json(reinterpret_cast<const char*>(data), size);
    try_manifest(json);
    try_tags(json);
    try_referrers(json);
    return 0;
}
