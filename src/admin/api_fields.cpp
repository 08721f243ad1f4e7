#include "entrepot/admin/api_fields.h"

#include "entrepot/base/assert.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot {
namespace {

constexpr std::size_t quoted_bytes_max = 60;

}  // namespace

ApiFields::ApiFields(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) refuse("must be an object");
}

void ApiFields::refuse(std::string_view reason) {
    if (!problem_) problem_ = ApiError(400, "BodyInvalid", fmt::format("{} {}", where_, reason));
}

void ApiFields::refuse_member(std::string_view name, std::string_view wanted) {
    refuse(fmt::format("has '{}', which must be {}", name, wanted));
}

const nlohmann::json* ApiFields::any(std::string_view name) {
    known_.push_back(name);
    if (!object_.is_object()) return nullptr;
    auto found = object_.find(std::string(name));
    return found == object_.end() ? nullptr : &*found;
}

const nlohmann::json* ApiFields::find(std::string_view name) {
    auto* value = any(name);
    return value && !value->is_null() ? value : nullptr;
}

bool ApiFields::is_sound_text(const nlohmann::json& value) const {
    if (!value.is_string()) return false;
    auto& text = value.get_ref<const std::string&>();
    return text.size() <= text_bytes_max && text.find('\0') == std::string::npos;
}

std::optional<std::string> ApiFields::text(std::string_view name) {
    auto* value = find(name);
    if (!value) return std::nullopt;
    if (is_sound_text(*value)) return value->get_ref<const std::string&>();
    refuse_member(name, fmt::format("a string of at most {} bytes without NUL", text_bytes_max));
    return std::nullopt;
}

std::string ApiFields::required_text(std::string_view name) {
    auto value = text(name);
    if (!value) refuse(fmt::format("lacks '{}'", name));
    return value ? *std::move(value) : std::string();
}

std::optional<bool> ApiFields::flag(std::string_view name) {
    auto* value = find(name);
    if (!value) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    refuse_member(name, "true or false");
    return std::nullopt;
}

std::optional<std::int64_t> ApiFields::number(std::string_view name, std::int64_t least, std::int64_t most) {
    ASSERT(least <= most);
    auto* value = find(name);
    if (!value) return std::nullopt;
    // What is written without a sign may be larger than the type says.
    bool fits = value->is_number_integer() &&
                (!value->is_number_unsigned() || value->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX));
    auto number = fits ? value->get<std::int64_t>() : 0;
    if (fits && number >= least && number <= most) return number;
    refuse_member(name, fmt::format("a whole number from {} to {}", least, most));
    return std::nullopt;
}

std::optional<std::vector<std::string>> ApiFields::texts(std::string_view name, std::size_t count_max) {
    auto* value = find(name);
    if (!value) return std::nullopt;
    bool sound = value->is_array() && value->size() <= count_max &&
                 std::all_of(value->begin(), value->end(), [this](auto& element) { return is_sound_text(element); });
    if (!sound) {
        refuse_member(name, fmt::format("a list of at most {} strings", count_max));
        return std::nullopt;
    }
    std::vector<std::string> texts;
    for (auto& element : *value) texts.push_back(element.get_ref<const std::string&>());
    return texts;
}

Result<void, ApiError> ApiFields::finish() {
    if (object_.is_object()) {
        for (auto& [name, value] : object_.items()) {
            bool known = std::find(known_.begin(), known_.end(), name) != known_.end();
            if (!known) refuse(fmt::format("has '{}', which is not known here", name.substr(0, quoted_bytes_max)));
        }
    }
    if (problem_) return *problem_;
    return {};
}

}  // namespace entrepot
