#pragma once
// "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\n" (RFC 9110 section 6.6.1), made once a second and thread.

#include "entrepot/io/loop.h"

#include <string_view>

namespace entrepot {

/// Valid until the thread's next call in another second.
std::string_view date_line(const Loop& loop) noexcept;

}  // namespace entrepot
