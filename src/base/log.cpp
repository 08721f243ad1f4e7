#include "entrepot/base/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>

namespace entrepot {
namespace {

std::atomic<Level> lowest_level{Level::info};

std::string_view prefix_of(Level level) {
    switch (level) {
        case Level::debug: return "debug: ";
        case Level::info: return "";
        case Level::warning: return "warning: ";
        case Level::error: return "error: ";
    }
    return "";
}

}  // namespace

void set_log_level(Level lowest) noexcept { lowest_level.store(lowest, std::memory_order_relaxed); }

std::string escaped(std::string_view text, std::size_t length_max) {
    std::string out;
    out.reserve(std::min(text.size(), length_max) + 3);
    for (unsigned char c : text) {
        const bool printable = c >= 0x20 && c < 0x7f;
        if (out.size() + (printable ? 1 : 4) > length_max) return out + "...";
        if (printable) out.push_back(static_cast<char>(c));
        else fmt::format_to(std::back_inserter(out), "\\x{:02x}", c);
    }
    return out;
}

void log_line(Level level, std::string_view line) {
    if (level < lowest_level.load(std::memory_order_relaxed)) return;
    constexpr std::size_t line_bytes_max = 4096;
    // One write per line keeps lines whole when several shards log at once.
    std::string whole = fmt::format("entrepot: {}{}\n", prefix_of(level), escaped(line, line_bytes_max));
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, whole.data(), whole.size());
}

}  // namespace entrepot
