#include "server/date_line.h"

#include <cstdio>
#include <ctime>

namespace entrepot {

std::string_view date_line(const Loop& loop) noexcept {
    struct Line {
        char text[48];
        int length = 0;
        Instant until{};
    };
    thread_local Line line;
    if (line.length > 0 && loop.time() < line.until) return {line.text, static_cast<std::size_t>(line.length)};
    constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::time_t seconds_now = wall_seconds();
    std::tm utc{};
    ::gmtime_r(&seconds_now, &utc);
    line.length = std::snprintf(line.text, sizeof line.text, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[utc.tm_wday],
                                utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    line.until = loop.time() + seconds(1);
    return {line.text, static_cast<std::size_t>(line.length)};
}

}  // namespace entrepot
