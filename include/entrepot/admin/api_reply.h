#pragma once
// What a handler of the admin listener answers. The router writes it: a handler knows neither status lines nor connections.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot {

/// A refusal. The message is one line for the caller: what, why, what to do. It may quote names that the caller sent (it is escaped), and never holds a secret.
struct ApiError {
    ApiError() = default;
    ApiError(std::uint16_t with_status, std::string_view with_code, std::string with_message)
        : status(with_status), code(with_code), message(std::move(with_message)) {}

    std::uint16_t status = 500;
    std::string code;  ///< for programs: "RuleTargetTaken"
    std::string message;
};

struct ApiReply {
    /// {"error":{"code":...,"message":...}}; implicit, so that a handler says `co_return ApiError(...)`.
    ApiReply(const ApiError& error);
    static ApiReply document(nlohmann::json json, std::uint16_t status = 200);
    /// Its members stay in their order.
    static ApiReply document(const nlohmann::ordered_json& json, std::uint16_t status = 200);
    static ApiReply page(std::string_view media_type, std::string text, std::uint16_t status = 200);
    static ApiReply nothing();  ///< 204

    /// One more header field. `name` is a literal; a value that may not stand in a head is left out.
    ApiReply& with(std::string_view name, std::string value) {
        fields.emplace_back(name, std::move(value));
        return *this;
    }
    ApiReply& with_etag(std::string tag) {
        etag = std::move(tag);
        return *this;
    }

    std::uint16_t status = 204;
    nlohmann::json json;          ///< the body, unless it is null
    std::string text;             ///< the body when `json` is null
    std::string_view media_type;  ///< of `text`
    std::string etag;             ///< without its quotes; a GET whose If-None-Match has it is answered 304
    std::vector<std::pair<std::string_view, std::string>> fields;

  private:
    ApiReply() = default;
};

}  // namespace entrepot
