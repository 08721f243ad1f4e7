#pragma once
// Where a server's admin listener is: a Unix socket, or a host and a port.

#include "cli/failure.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::cli {

struct AdminAddress {
    std::string unix_path;  ///< empty for TCP
    std::string host;       ///< an address without brackets, or a name
    std::uint16_t port = 0;

    bool is_unix() const noexcept { return !unix_path.empty(); }
    /// "unix:/run/entrepot/admin.sock", "127.0.0.1:5001", "[::1]:5001".
    std::string text() const;
    friend bool operator==(const AdminAddress&, const AdminAddress&) = default;
};

/// "unix:/path" or "/path"; "HOST:PORT", "HOST" (port 5001), each also behind "http://".
Outcome<AdminAddress> parse_admin_address(std::string_view text);

/// What to try, in order: `option` (of -r), else `environment` (ENTREPOT_ADMIN), else the places where servers are by default.
/// An empty text is as good as none.
Outcome<std::vector<AdminAddress>> choose_admin_addresses(const std::optional<std::string>& option,
                                                          const std::optional<std::string>& environment);

}  // namespace entrepot::cli
