#pragma once
// A Unix socket's name in the file system: made so that no moment leaves it open to strangers, taken over from a dead server but never from a live one, and removed at
// the end if it is still ours. System calls that may block for as long as a local directory does: only at the start and at the end.

#include "entrepot/base/result.h"

#include <sys/types.h>

#include <optional>
#include <string>

namespace entrepot {

struct UnixSocket {
    int descriptor = -1;  ///< bound and listening
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
};

/// Mode 0660, group `group` or the process's own. The last directory of the path is made (0755) when it is missing; it must not let everybody rename files in it. The error is
/// one line for the operator.
Result<UnixSocket, std::string> open_unix_socket(const std::string& path, std::optional<gid_t> group, int backlog);

/// Removes the name, unless another socket has it by now. Before the descriptor is closed, which keeps the inode's number from being given to that other.
void remove_unix_socket(const UnixSocket& socket) noexcept;

}  // namespace entrepot
