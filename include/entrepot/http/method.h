#pragma once
// Request methods. Only what the listeners route on has a name; every other well-formed method is refused with 501 by
// the request parser and never reaches a handler.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace entrepot {

enum class Method : std::uint8_t { get, head, post, put, patch, del, options, trace, connect };

/// "GET", "HEAD", ... as written on the wire.
constexpr std::string_view name_of(Method method) noexcept {
    constexpr std::string_view names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"};
    return names[static_cast<std::size_t>(method)];
}

}  // namespace entrepot
