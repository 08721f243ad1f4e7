#pragma once
// Small whole files of a volume: its identity, the layout marker, the index. Replaced atomically, so that a reader at any moment, and the next start after a
// power cut, sees the old text or the new one.

#include "entrepot/base/result.h"
#include "entrepot/io/await.h"

#include <string>
#include <string_view>

namespace entrepot {

/// Code::not_found when there is none, Code::too_large when it has more than `bytes_max`.
Task<Result<std::string>> read_small_file(int directory, std::string path, std::uint64_t bytes_max);

/// Writes to `.entrepot/<name>.new`, syncs, renames to `path` (relative to the volume's root) and syncs the directory that holds it.
Task<Result<void>> replace_small_file(int root, std::string path, std::string_view text);

/// Makes the names in the directory at `path` durable.
Task<Result<void>> sync_directory(int directory, std::string path);

/// Writes all of `bytes` to the file, in slices.
Task<Result<void>> write_whole(int file, Bytes bytes);

}  // namespace entrepot
