#pragma once
// One JSON object while it is read: typed access to its members, and a memory of which were asked for, so that all others can be
// refused by name. The first problem wins; readers go on and need not check. The counterpart of ConfigSection for JSON.

#include "entrepot/base/log.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot {

class DocumentReader {
  public:
    /// `object` and `problem` outlive the reader; `path` is "" or what leads here: "stale.".
    DocumentReader(const nlohmann::json& object, std::string path, std::string& problem)
        : object_(object), path_(std::move(path)), problem_(problem) {
        if (!object.is_object()) note(path_.empty() ? "the document must be an object" : path_ + " must be an object");
    }
    DocumentReader inner(std::string_view member, const nlohmann::json& value) const {
        return {value, fmt::format("{}{}.", path_, member), problem_};
    }

    bool given(std::string_view member) { return find(member) != nullptr; }
    void ignore(std::string_view member) { known_.push_back(member); }

    /// Each reads a member into `value`, which stays as it is when the member is absent or wrong; null stands for the default.
    void text(std::string_view member, std::string& value) {
        const auto* found = find(member);
        if (!found) return;
        if (found->is_null()) value.clear();
        else if (is_text(*found)) value = found->get<std::string>();
        else refuse(member, found->is_string() ? too_long() : "must be a text");
    }
    bool required_text(std::string_view member, std::string& value) {
        const auto* found = find(member);
        const bool sound = found && is_text(*found);
        if (sound) value = found->get<std::string>();
        else refuse(member, !found ? "is missing" : found->is_string() ? too_long() : "must be a text");
        return sound;
    }
    template <typename Value, typename Read>
    void parsed(std::string_view member, Value& value, const Value& default_value, Read read, std::string_view wanted) {
        const auto* found = find(member);
        if (!found) return;
        if (found->is_null()) {
            value = default_value;
            return;
        }
        const auto result = is_text(*found) ? read(found->get_ref<const std::string&>()) : std::nullopt;
        if (result) value = *result;
        else refuse(member, fmt::format("must be {}", wanted));
    }
    void texts(std::string_view member, std::size_t count_max, std::vector<std::string>& values) {
        const auto* found = find(member);
        if (!found) return;
        if (found->is_null()) return values.clear();
        const bool sound = found->is_array() && std::all_of(found->begin(), found->end(), is_text);
        if (!sound) return refuse(member, fmt::format("must be a list of texts of at most {} bytes", text_bytes_max));
        if (found->size() > count_max) return refuse(member, fmt::format("has more than {} entries", count_max));
        values = found->get<std::vector<std::string>>();
    }
    /// Null when absent, or null in the document (then `value` becomes its default), or no object.
    template <typename Value>
    const nlohmann::json* object(std::string_view member, Value& value) {
        const auto* found = find(member);
        if (!found || found->is_object()) return found;
        if (found->is_null()) value = Value();
        else refuse(member, "must be an object");
        return nullptr;
    }
    const nlohmann::json* objects(std::string_view member, std::size_t count_max) {
        const auto* found = find(member);
        if (!found) return nullptr;
        const bool sound =
            found->is_array() && std::all_of(found->begin(), found->end(), [](const auto& entry) { return entry.is_object(); });
        if (sound && found->size() <= count_max) return found;
        refuse(member, sound ? fmt::format("has more than {} entries", count_max) : "must be a list of objects");
        return nullptr;
    }

    void refuse(std::string_view member, std::string_view reason) { note(fmt::format("\"{}{}\" {}", path_, member, reason)); }
    /// `named`: false where somebody may have put a secret in the place of a name.
    void refuse_unknown_members(bool named = true) {
        if (!object_.is_object()) return;
        for (const auto& [member, value] : object_.items()) {
            if (std::find(known_.begin(), known_.end(), member) != known_.end()) continue;
            if (!named) return note(fmt::format("a member is not known; there are {}", fmt::join(known_, ", ")));
            return note(fmt::format("there is no member \"{}{}\" to write; there are {}", path_, escaped(member, 100),
                                    fmt::join(known_, ", ")));
        }
    }

  private:
    static constexpr std::size_t text_bytes_max = 4096;
    static std::string too_long() { return fmt::format("is longer than {} bytes", text_bytes_max); }
    static bool is_text(const nlohmann::json& value) {
        return value.is_string() && value.get_ref<const std::string&>().size() <= text_bytes_max;
    }
    const nlohmann::json* find(std::string_view member) {
        known_.push_back(member);
        if (!object_.is_object()) return nullptr;
        const auto found = object_.find(member);
        return found == object_.end() ? nullptr : &*found;
    }
    void note(std::string reason) {
        if (problem_.empty()) problem_ = std::move(reason);
    }

    const nlohmann::json& object_;
    std::string path_;
    std::string& problem_;
    std::vector<std::string_view> known_;
};

}  // namespace entrepot
