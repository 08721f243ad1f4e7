#include "entrepot/http/conditional.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

// A tag may hold commas, so the list is read by its quotes. What is no tag ends the line: guessing where the next one begins
// could only invent a 304 that nobody asked for.
bool line_hits(std::string_view line, std::string_view etag) noexcept {
    if (line == "*") return true;
    for (;;) {
        line.remove_prefix(std::min(line.find_first_not_of(" \t,"), line.size()));
        if (line.starts_with("W/")) line.remove_prefix(2);
        if (!line.starts_with('"')) return false;
        const std::size_t end = line.find('"', 1);
        if (end == std::string_view::npos) return false;
        if (line.substr(0, end + 1) == etag) return true;
        line = scan::trim(line.substr(end + 1));
        if (!line.starts_with(',')) return false;
    }
}

}  // namespace

bool if_none_match_hits(FieldValues if_none_match, std::string_view etag) noexcept {
    if (etag.starts_with("W/")) etag.remove_prefix(2);
    for (std::string_view line : if_none_match)
        if (line_hits(line, etag)) return true;
    return false;
}

}  // namespace entrepot
