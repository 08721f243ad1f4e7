#pragma once
// Tag lists: what upstream answered to `tags/list`, collected over its pages, and the pages that we answer.

#include "entrepot/base/bytes.h"
#include "entrepot/base/result.h"
#include "entrepot/oci/list_page.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

constexpr std::size_t tags_list_bytes_max = 10 * MiB;  ///< of one upstream answer
constexpr std::size_t tags_max = 1'000'000;            ///< of one repository

enum class ListFault : std::uint8_t {
    not_json,   ///< not the JSON that the spec describes
    too_large,  ///< past tags_list_bytes_max, or referrers_bytes_max
    too_many,   ///< past tags_max, or referrers_max
};
std::string_view name_of(ListFault fault) noexcept;

/// The tags of one repository. Movable, not copyable: the names point into one buffer.
class TagSet {
  public:
    TagSet() = default;
    TagSet(TagSet&&) = default;
    TagSet& operator=(TagSet&&) = default;
    TagSet(const TagSet&) = delete;
    TagSet& operator=(const TagSet&) = delete;

    /// Adds the tags of one upstream answer (`{"name": ..., "tags": [...]}`; `tags` may be null). Entries that are no tags
    /// are left out and counted: Nexus lists nulls, Artifactory digests. After a fault the set is as it was before.
    Result<void, ListFault> add_page(std::string_view json);

    /// Sorted bytewise, each once. Lives until the next add_page.
    std::span<const std::string_view> names();
    std::size_t left_out() const noexcept { return left_out_; }

  private:
    // One buffer for all names, since a million small strings would take three times the room. Views into it are made when no page
    // is being added, because adding may move it.
    struct Span {
        std::uint32_t offset;
        std::uint32_t length;
    };
    friend class TagsReader;
    std::vector<char> text_;
    std::vector<Span> spans_;
    std::vector<std::string_view> names_;
    bool stale_ = false;  // names_ does not show all of spans_ yet
    std::size_t left_out_ = 0;
};

/// `{"name":"<repository>","tags":[...]}` for one page.
std::string tags_list_body(std::string_view repository, std::span<const std::string_view> tags);

}  // namespace entrepot
