#pragma once
// The tags as an OCI image index: what skopeo and oras read from a volume, and what a lost ledger is rebuilt from. Each tag is a descriptor annotated with
// "org.opencontainers.image.ref.name" = "<login server>/<repository>:<tag>".

#include "entrepot/store/ledger.h"

namespace entrepot {

constexpr std::size_t index_tags_max = 100'000;       ///< more are left out, with one log line
constexpr std::uint64_t index_bytes_max = 128 * MiB;  ///< a larger file is not read back

/// Every tag whose manifest is stored. Any thread; blocks on the ledger's disk reads.
std::string index_text(const Ledger& ledger);

/// The tags of an index.json; entries that are not ours are left out. `checked` is 0: upstream is asked at the first use.
std::vector<PutTag> parse_index(std::string_view text);

}  // namespace entrepot
