#include "entrepot/oci/referrers.h"

#include "entrepot/base/assert.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace entrepot {

namespace {

using Json = nlohmann::ordered_json;  // members keep the order they came in

constexpr std::string_view index_head =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)";

ListFault list_fault_of(ManifestFault fault) noexcept {
    switch (fault) {
        case ManifestFault::too_large: return ListFault::too_large;
        case ManifestFault::too_many_descriptors: return ListFault::too_many;
        default: return ListFault::not_json;
    }
}

// An order and no hash: strangers choose these digests, and ten thousand with the same first bytes must not cost more.
struct DigestOrder {
    bool operator()(const Digest& left, const Digest& right) const noexcept {
        const Bytes a = left.raw(), b = right.raw();
        return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    }
};

}  // namespace

// Descriptors are kept as JSON text: they are written out as they came, and a text is a tenth of the size of the tree.
struct ReferrerSet::Content {
    struct Entry {
        std::string artifact_type;
        std::string json;
    };
    std::vector<Entry> entries;
    std::set<Digest, DigestOrder> digests;
};

ReferrerSet::ReferrerSet() : content_(std::make_unique<Content>()) {}
ReferrerSet::ReferrerSet(ReferrerSet&&) noexcept = default;
ReferrerSet& ReferrerSet::operator=(ReferrerSet&&) noexcept = default;
ReferrerSet::~ReferrerSet() = default;

// The bounded scanner goes first: after it the document is known to be small, shallow and an index, so that a tree of it may be
// built and written without a second thought.
Result<void, ListFault> ReferrerSet::add_page(std::string_view json) {
    auto index = parse_manifest(json);
    if (!index) return list_fault_of(index.error());
    if (!index->is_index()) return ListFault::not_json;
    std::erase_if(index->descriptors, [](const Descriptor& found) { return found.role != DescriptorRole::manifest; });
    if (size() + index->descriptors.size() > referrers_max) return ListFault::too_many;

    const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
    const auto manifests = document.find("manifests");
    if (manifests == document.end() || !manifests->is_array()) return {};  // null: nothing to list
    ASSERT(manifests->size() == index->descriptors.size());
    for (std::size_t i = 0; i < manifests->size(); ++i) {
        Descriptor& descriptor = index->descriptors[i];
        if (!content_->digests.insert(descriptor.digest).second) continue;
        content_->entries.push_back({std::move(descriptor.artifact_type), (*manifests)[i].dump(-1, ' ', /*ensure_ascii=*/true)});
    }
    return {};
}

std::size_t ReferrerSet::size() const noexcept { return content_->entries.size(); }

std::string ReferrerSet::index_body(std::string_view artifact_type) const {
    std::string body(index_head);
    bool first = true;
    for (const Content::Entry& entry : content_->entries) {
        if (!artifact_type.empty() && entry.artifact_type != artifact_type) continue;
        if (!first) body.push_back(',');
        body.append(entry.json);
        first = false;
    }
    body.append("]}");
    return body;
}

std::string referrers_tag(const Digest& subject) {
    std::string tag(subject.algorithm_name());
    tag.push_back('-');
    tag.append(subject.hex(), 0, 64);
    return tag;
}

}  // namespace entrepot
