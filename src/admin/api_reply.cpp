#include "entrepot/admin/api_reply.h"

#include "entrepot/admin/json_document.h"

namespace entrepot {

ApiReply::ApiReply(const ApiError& error) : status(error.status) {
    json["error"]["code"] = error.code;
    json["error"]["message"] = error.message;
}

ApiReply ApiReply::document(nlohmann::json json, std::uint16_t status) {
    ApiReply reply;
    reply.status = status;
    reply.json = std::move(json);
    return reply;
}

ApiReply ApiReply::document(const nlohmann::ordered_json& json, std::uint16_t status) {
    return page("application/json", write_json(json), status);
}

ApiReply ApiReply::page(std::string_view media_type, std::string text, std::uint16_t status) {
    ApiReply reply;
    reply.status = status;
    reply.media_type = media_type;
    reply.text = std::move(text);
    return reply;
}

ApiReply ApiReply::nothing() { return ApiReply(); }

}  // namespace entrepot
