#include "cli/json.h"

namespace entrepot::cli {

std::optional<Json> parse_json(std::string_view text) {
    bool too_deep = false;
    const auto watch_depth = [&](int depth, Json::parse_event_t, const Json&) {
        too_deep = too_deep || depth > json_depth_max;
        return !too_deep;  // what is refused here is left out of the document, so it never gets deep
    };
    Json document = Json::parse(text.begin(), text.end(), watch_depth, false);
    if (document.is_discarded() || too_deep) return std::nullopt;
    return document;
}

std::string shown_json(const Json& document) { return document.dump(2, ' ', true, Json::error_handler_t::replace) + "\n"; }

const Json& at(const Json& object, std::string_view member) {
    static const Json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(std::string(member));
    return found == object.end() ? nothing : *found;
}

std::string text_at(const Json& object, std::string_view member) {
    const Json& value = at(object, member);
    return value.is_string() ? value.get<std::string>() : std::string();
}

std::string joined_at(const Json& object, std::string_view member, std::string_view separator) {
    std::string joined;
    const Json& list = at(object, member);
    if (!list.is_array()) return joined;
    for (const Json& entry : list) {
        if (!joined.empty()) joined += separator;
        joined += scalar_text(entry);
    }
    return joined;
}

std::string scalar_text(const Json& value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    return value.is_number() ? value.dump() : std::string();
}

}  // namespace entrepot::cli
