#pragma once
// Referrers: the index of what points at a digest (signatures, attestations). It is a mutable list and not content, so we
// collect upstream's pages, filter by artifact type, and write our own index.

#include "entrepot/oci/digest.h"
#include "entrepot/oci/manifest.h"
#include "entrepot/oci/tags_list.h"

#include <memory>
#include <string>
#include <string_view>

namespace entrepot {

constexpr std::size_t referrers_bytes_max = manifest_bytes_max;  ///< of one upstream answer
constexpr std::size_t referrers_max = descriptors_max;           ///< of one digest, over all pages

class ReferrerSet {
  public:
    ReferrerSet();
    ReferrerSet(ReferrerSet&&) noexcept;
    ReferrerSet& operator=(ReferrerSet&&) noexcept;
    ~ReferrerSet();

    /// Adds the descriptors of one upstream answer, an image index: from the referrers API, or from the tag that
    /// `referrers_tag` names. Anything else is a fault, and the set stays as it was. A digest that is there already is not added
    /// again, since pages of a changing list overlap.
    Result<void, ListFault> add_page(std::string_view json);

    std::size_t size() const noexcept;

    /// An image index of the descriptors whose `artifactType` is `artifact_type` (empty: of all), with every member they came
    /// with. Never fails; with nothing to list it is the empty index that the spec demands in place of a 404.
    std::string index_body(std::string_view artifact_type) const;

  private:
    struct Content;  // keeps the JSON library out of this header
    std::unique_ptr<Content> content_;
};

/// The fallback for registries without the API: `<algorithm>-<hex>`, cut to 32 and 64 characters as the spec says.
std::string referrers_tag(const Digest& subject);

}  // namespace entrepot
