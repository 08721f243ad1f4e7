#pragma once
// Names in an open directory, a bounded number of them: for directories that somebody may have filled with a million files. Part of the seam, like Ring and list_directory.

#include "entrepot/base/result.h"

#include <string>
#include <vector>

namespace entrepot {

/// The first `count_max` names, in no order, without "." and ".."; fewer when there are no more. May block: only from a blocking lane. A name that is removed makes place for
/// another at the next call.
Result<std::vector<std::string>> list_some(int directory, std::size_t count_max);

}  // namespace entrepot
