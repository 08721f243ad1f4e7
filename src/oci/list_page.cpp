#include "entrepot/oci/list_page.h"

#include <algorithm>

namespace entrepot {

namespace {

// RFC 3986 unreserved characters and those that a query value may hold as they are. ':' and '/' stay readable.
bool is_query_character(char character) noexcept {
    const bool letter = (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
    return letter || (character >= '0' && character <= '9') ||
           std::string_view("-._~:/").find(character) != std::string_view::npos;
}

void append_query_value(std::string& out, std::string_view value) {
    constexpr char digits[] = "0123456789ABCDEF";
    for (const char character : value) {
        if (is_query_character(character)) {
            out.push_back(character);
            continue;
        }
        const auto byte = static_cast<unsigned char>(character);
        out.push_back('%');
        out.push_back(digits[byte >> 4]);
        out.push_back(digits[byte & 15]);
    }
}

}  // namespace

ListPage page_of(std::span<const std::string_view> sorted, std::uint32_t n, std::string_view last) noexcept {
    if (n == 0) return {};
    auto first = sorted.begin();
    if (!last.empty()) first = std::upper_bound(sorted.begin(), sorted.end(), last);
    const auto left = static_cast<std::size_t>(sorted.end() - first);
    const std::size_t count = std::min<std::size_t>(n, left);
    return {sorted.subspan(static_cast<std::size_t>(first - sorted.begin()), count), count < left};
}

std::string next_page_link(std::string_view path, std::uint32_t n, std::string_view last, std::string_view ns) {
    std::string link = "<";
    link.append(path).append("?n=").append(std::to_string(n)).append("&last=");
    append_query_value(link, last);
    if (!ns.empty()) {
        link.append("&ns=");
        append_query_value(link, ns);
    }
    link.append(">; rel=\"next\"");
    return link;
}

}  // namespace entrepot
