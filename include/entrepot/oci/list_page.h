#pragma once
// One page of a sorted list of names (tags, repositories), and the `Link` value that leads to the next.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace entrepot {

struct ListPage {
    std::span<const std::string_view> names;  ///< a part of the list that was asked
    bool more = false;                        ///< whether names follow after this page
};

/// At most `n` names after `last` (which need not exist; empty: from the start) of `sorted`, which is sorted bytewise
/// without repetitions. `n` = 0 is an empty page that nothing follows, as the spec demands.
ListPage page_of(std::span<const std::string_view> sorted, std::uint32_t n, std::string_view last) noexcept;

/// `</v2/app/tags/list?n=10&last=v1&ns=docker.io>; rel="next"`: `path` is ours, so it needs no escape; `ns` may be empty.
/// The namespace stays in the link, because clients follow it as it is.
std::string next_page_link(std::string_view path, std::uint32_t n, std::string_view last, std::string_view ns);

}  // namespace entrepot
