#include "cli/api.h"

#include "entrepot/http/url.h"

namespace entrepot::cli {
namespace {

constexpr std::string_view other_version =
    "is the command of another version than the server? Compare 'entrepot --version' with 'entrepot status'";

std::string_view media_type_of(std::string_view content_type) { return content_type.substr(0, content_type.find(';')); }

/// What the server said in our error shape, or in the one of versions that had no API.
std::string message_of(const Json& document) {
    auto message = text_at(at(document, "error"), "message");
    return message.empty() ? text_at(document, "message") : message;
}

}  // namespace

Query& Query::add(std::string_view name, std::string_view value) {
    if (!value.empty()) text = add_query(text, name, value);
    return *this;
}

std::string resource_path(std::string_view collection, std::string_view name) {
    return fmt::format("{}/{}", collection, percent_encode(name));
}

Refusal with_replace_hint(Refusal refusal) {
    if (refusal.code == "AlreadyExists") refusal.failure.text += "; --replace replaces it";
    return refusal;
}

Refusal Api::strange(std::string_view path, std::string_view what) const {
    return {failed("{} {} to {}; {}", client_.server(), what, path, other_version), 0, ""};
}

Refusal Api::refusal_of(const AdminAnswer& answer, std::string_view path) const {
    Refusal refusal;
    refusal.status = answer.status;
    const auto document = parse_json(answer.body);
    std::string message = document ? message_of(*document) : "";
    refusal.code = document ? text_at(at(*document, "error"), "code") : "";
    if (message.empty() || (answer.status == 404 && refusal.code.empty())) {
        refusal.failure =
            strange(path, fmt::format("answers {}{}", answer.status, answer.status == 404 ? " (no such page)" : "")).failure;
        return refusal;
    }
    const bool unauthorised = answer.status == 401 || answer.status == 403;
    if (unauthorised && !client_.why_no_token().empty())
        message += fmt::format("; none was sent: {}; ENTREPOT_TOKEN_FILE names another", client_.why_no_token());
    refusal.failure = refusal.code.empty() ? failed("{}", message) : failed("{} ({})", message, refusal.code);
    return refusal;
}

Answered<Json> Api::send(Method method, std::string_view path, const Query& query, std::string body, const Condition& condition) {
    AdminRequest request{method, std::string(path), std::move(body)};
    if (!query.text.empty()) request.target += "?" + query.text;
    if (condition.kind != Condition::Kind::none) {
        const bool absent = condition.kind == Condition::Kind::absent;
        request.condition = absent ? "If-None-Match" : "If-Match";
        request.condition_on = absent ? "*" : fmt::format("\"{}\"", condition.etag);
    }
    auto answer = client_.exchange(request);
    if (!answer) return Refusal{answer.error(), 0, ""};
    if (answer->status >= 300) return refusal_of(*answer, path);
    if (answer->status == 204) return Json();
    if (media_type_of(answer->content_type) != "application/json") return strange(path, "answers something else than JSON");
    auto document = parse_json(answer->body);
    if (!document) return strange(path, "answers what is no sound JSON");
    return std::move(*document);
}

Answered<Json> Api::send_document(Method method, std::string_view path, const Query& query, const Json& body,
                                  const Condition& condition) {
    try {
        return send(method, path, query, body.dump(), condition);
    } catch (const Json::type_error&) {  // what was typed need not be UTF-8, JSON must be
        return Refusal{misused("an argument is not valid UTF-8"), 0, ""};
    }
}

Answered<Json> Api::get(std::string_view path, const Query& query) { return send(Method::get, path, query, "", {}); }
Answered<Json> Api::put(std::string_view path, const Json& body, const Condition& condition, const Query& query) {
    return send_document(Method::put, path, query, body, condition);
}
Answered<Json> Api::patch(std::string_view path, const Json& body, const Condition& condition, const Query& query) {
    return send_document(Method::patch, path, query, body, condition);
}
Answered<Json> Api::post(std::string_view path, const Json& body, const Condition& condition, const Query& query) {
    return send_document(Method::post, path, query, body, condition);
}
Answered<Json> Api::post(std::string_view path) { return send(Method::post, path, {}, "", {}); }
Answered<Json> Api::remove(std::string_view path, const Condition& condition, const Query& query) {
    return send(Method::del, path, query, "", condition);
}

Answered<std::vector<Json>> Api::list(std::string_view collection) {
    std::vector<Json> entries;
    std::string last;
    for (std::size_t page = 0; page < pages_max; ++page) {
        auto document = get(collection, Query().add("limit", std::to_string(page_entries)).add("after", last));
        if (!document) return document.error();
        const Json& value = at(*document, "value");
        if (!value.is_array()) return strange(collection, "answers no list");
        for (const Json& entry : value) entries.push_back(entry);
        if (!at(*document, "nextLink").is_string()) return entries;
        // Entries come by name, so a page that does not end behind the one before would go on for ever.
        const std::string end = value.empty() ? "" : text_at(value.back(), "name");
        if (end <= last) return strange(collection, "answers a list that does not go on");
        last = end;
    }
    return strange(collection, "answers a list without an end");
}

}  // namespace entrepot::cli
