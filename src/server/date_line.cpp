#include "server/date_line.h"

#include "entrepot/http/date.h"

#include <algorithm>

namespace entrepot {

std::string_view date_line(const Loop& loop) noexcept {
    constexpr std::string_view name = "Date: ", line_end = "\r\n";
    thread_local std::array<char, name.size() + http_date_bytes + line_end.size()> line;
    thread_local Instant until{};
    if (loop.time() >= until) {
        auto date = format_http_date(wall_seconds());
        auto at = std::copy(name.begin(), name.end(), line.begin());
        at = std::copy(date.begin(), date.end(), at);
        std::copy(line_end.begin(), line_end.end(), at);
        until = loop.time() + seconds(1);
    }
    return {line.data(), line.size()};
}

}  // namespace entrepot
