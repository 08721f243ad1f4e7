#include "entrepot/http/accept.h"

#include "http/scan.h"

#include <algorithm>

namespace entrepot {
namespace {

enum Specificity : int { no_match, any, any_subtype, exact };

bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return scan::to_lower(x) == scan::to_lower(y); });
}

Specificity specificity(std::string_view range, std::string_view media_type) noexcept {
    if (range == "*/*") return any;
    if (equals_ignoring_case(range, media_type)) return exact;
    const std::size_t slash = range.find('/');
    if (slash == std::string_view::npos || range.substr(slash) != "/*") return no_match;
    return equals_ignoring_case(range.substr(0, slash + 1), media_type.substr(0, slash + 1)) ? any_subtype : no_match;
}

// Weights only matter to us as zero or not: "0", "0.", "0.0", "0.00", "0.000".
bool is_zero_weight(std::string_view parameters) noexcept {
    while (!parameters.empty()) {
        const std::size_t semicolon = parameters.find(';');
        const std::string_view parameter = scan::trim(parameters.substr(0, semicolon));
        parameters.remove_prefix(semicolon == std::string_view::npos ? parameters.size() : semicolon + 1);
        if (!scan::equals_lower(parameter.substr(0, 2), "q=")) continue;
        const std::string_view weight = parameter.substr(2);
        return weight.starts_with('0') && weight.size() <= 5 && (weight.size() == 1 || weight[1] == '.') &&
               weight.find_first_not_of('0', 2) == std::string_view::npos;
    }
    return false;
}

/// What docker does: a line for each media type it takes, without weights. An exact match that is wanted decides whatever else is said, so
/// one such line is an answer, and nearly all others are told apart by their length.
bool names_exactly(FieldValues accept, std::string_view media_type) noexcept {
    const bool is_one_element = !media_type.empty() && media_type.find(',') == std::string_view::npos;
    return is_one_element && std::find(accept.begin(), accept.end(), media_type) != accept.end();
}

}  // namespace

bool accepts(FieldValues accept, std::string_view media_type) noexcept {
    media_type = scan::trim(media_type.substr(0, media_type.find(';')));
    if (names_exactly(accept, media_type)) return true;
    Specificity best = no_match;
    bool is_admitted = false;
    bool is_empty = true;
    for (std::string_view line : accept) {
        std::string_view element;
        while (scan::next_element(line, element)) {
            is_empty = false;
            const std::size_t semicolon = std::min(element.find(';'), element.size());
            const Specificity found = specificity(scan::trim(element.substr(0, semicolon)), media_type);
            if (found == no_match || found < best) continue;
            const bool is_wanted = !is_zero_weight(element.substr(std::min(semicolon + 1, element.size())));
            is_admitted = found > best ? is_wanted : is_admitted || is_wanted;
            best = found;
        }
    }
    return is_empty || is_admitted;
}

}  // namespace entrepot
