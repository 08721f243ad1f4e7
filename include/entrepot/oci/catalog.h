#pragma once
// The answer to `_catalog`: one page of repositories. Which repositories, and whether at all, is the caller's policy.

#include "entrepot/oci/list_page.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace entrepot {

/// A request without `n` gets this many; a larger `n` is lowered to the maximum (CVE-2023-2253: never allocate what `n` says).
constexpr std::uint32_t catalog_entries_default = 100;
constexpr std::uint32_t catalog_entries_max = 1000;

/// `{"repositories":[...]}`.
std::string catalog_body(std::span<const std::string_view> repositories);

}  // namespace entrepot
