#pragma once
// An Authorization field, taken apart. What it holds is wiped when it goes.

#include <cstdint>
#include <string>
#include <string_view>

namespace entrepot {

enum class ShownKind : std::uint8_t {
    none,
    basic,
    bearer,
    unreadable,  ///< another scheme, or not what the scheme asks for
};

struct ShownCredentials {
    ShownKind kind = ShownKind::none;
    std::string user, password;  ///< of basic; the user's name may be empty
    std::string_view token;      ///< of bearer; points into the field

    ShownCredentials() = default;
    ShownCredentials(ShownCredentials&&) = default;
    ShownCredentials& operator=(ShownCredentials&&) = default;
    ~ShownCredentials();
};

/// `field` is the value of the Authorization field, "" when there is none (RFC 7617, RFC 6750 section 2.1).
ShownCredentials parse_authorization(std::string_view field);

/// Overwrites a secret before it goes.
void wipe_secret(std::string& secret) noexcept;

}  // namespace entrepot
