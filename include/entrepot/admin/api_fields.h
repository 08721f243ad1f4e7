#pragma once
// Reads the members of one JSON object from outside: typed, and with a memory of which names were asked for, so that all others can be refused. The first problem stays;
// readers go on without checks between and ask finish() at the end:
//
//   ApiFields fields(call.body);
//   auto rule = fields.required_text("rule");
//   auto tag = fields.text("tag");
//   auto sound = fields.finish();
//   if (!sound) co_return sound.error();

#include "entrepot/admin/api_reply.h"
#include "entrepot/base/result.h"

#include <optional>

namespace entrepot {

class ApiFields {
  public:
    static constexpr std::size_t text_bytes_max = 4096;

    /// `object` outlives this. `where` is how messages name it: "the body", "cacheRules[3]".
    explicit ApiFields(const nlohmann::json& object, std::string where = "the body");

    /// Each is empty when the member is absent or null, or when it is refused.
    std::optional<std::string> text(std::string_view name);
    std::optional<bool> flag(std::string_view name);
    std::optional<std::int64_t> number(std::string_view name, std::int64_t least, std::int64_t most);
    std::optional<std::vector<std::string>> texts(std::string_view name, std::size_t count_max);
    /// The member as it is: null (the JSON value) and absent are told apart.
    const nlohmann::json* any(std::string_view name);
    /// An empty text when it is missing, which is a problem.
    std::string required_text(std::string_view name);

    /// A problem that the caller found: "<where>: <reason>".
    void refuse(std::string_view reason);
    /// 400 with the first problem; an unknown member is one.
    Result<void, ApiError> finish();

  private:
    const nlohmann::json* find(std::string_view name);
    void refuse_member(std::string_view name, std::string_view wanted);
    bool is_sound_text(const nlohmann::json& value) const;

    const nlohmann::json& object_;
    std::string where_;
    std::vector<std::string_view> known_;
    std::optional<ApiError> problem_;
};

}  // namespace entrepot
