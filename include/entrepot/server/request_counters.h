#pragma once
// What one shard's registry listener answered; here, left of registry and admin, because one writes and the other reads it. One writer, read from any thread by the metrics page.

#include "entrepot/base/counter.h"

#include <array>
#include <string_view>

namespace entrepot {

enum class RequestKind : std::uint8_t { base, manifest, blob, tags, referrers, catalog, token, other };
constexpr std::size_t request_kinds = 8;
constexpr std::array<std::string_view, request_kinds> request_kind_names{"base",      "manifest", "blob",  "tags",
                                                                         "referrers", "catalog",  "token", "other"};

enum class ServedFrom : std::uint8_t { hit, follow, fetch, bypass };
constexpr std::array<std::string_view, 4> served_from_names{"hit", "follow", "fetch", "bypass"};

struct RegistryCounters {
    static constexpr std::size_t statuses = 600;  ///< indexed by the status itself
    std::array<std::array<Counter, statuses>, request_kinds> requests;
    std::array<Counter, 4> served_bytes;  ///< body bytes handed to the kernel, by ServedFrom
    Counter aborted;                      ///< bodies that ended as an aborted connection
};

}  // namespace entrepot
