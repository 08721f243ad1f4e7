#include "entrepot/admin/admin.h"

#include "entrepot/admin/json_document.h"
#include "entrepot/base/log.h"
#include "entrepot/http/conditional.h"
#include "entrepot/http/url.h"
#include "entrepot/io/blocking.h"

#include "admin/gate.h"
#include "admin/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace entrepot {

/// What outlives the head that it was read from.
struct Admin::Question {
    Method method = Method::get;
    std::string path, query;
    std::string if_match, if_none_match;
    std::string content_type;
    bool has_body = false;
    bool client_left = false;
};

namespace {

constexpr std::size_t head_bytes_max = 4096;
constexpr std::size_t entity_tag_bytes_max = 128;
constexpr Duration large_body_wait = seconds(10);

std::string_view code_of(std::uint16_t status) {
    switch (status) {
        case 408: return "TooSlow";
        case 413: return "BodyTooLarge";
        case 414: return "TargetTooLong";
        case 417: return "ExpectationFailed";
        case 431: return "HeadTooLarge";
        case 501: return "MethodUnknown";
        case 505: return "VersionUnknown";
        default: return "RequestMalformed";
    }
}

std::string joined(FieldValues lines) {
    std::string text;
    for (auto line : lines) {
        if (!text.empty()) text += ", ";
        text += line;
    }
    return text;
}

/// `*`, or one strong entity tag (RFC 9110 section 8.8.3): which of two was meant nobody could tell.
bool is_single_tag(std::string_view text) {
    if (text == "*") return true;
    bool quoted = text.size() >= 2 && text.size() <= entity_tag_bytes_max && text.front() == '"' && text.back() == '"';
    return quoted && text.find('"', 1) == text.size() - 1 && text.find(' ') == std::string_view::npos;
}

bool is_json(std::string_view content_type, Method method) {
    auto semicolon = std::min(content_type.find(';'), content_type.size());
    auto type = content_type.substr(0, semicolon);
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    auto is = [](std::string_view text, std::string_view lower) {
        return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                          [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
    };
    std::string parameter;
    for (char c : content_type.substr(semicolon)) {
        if (c != ' ' && c != '\t' && c != '"') parameter += c;
    }
    if (!parameter.empty() && parameter != ";" && !is(parameter, ";charset=utf-8")) return false;
    return is(type, "application/json") || (method == Method::patch && is(type, "application/merge-patch+json"));
}

ApiError body_refused(const Error& error, std::size_t bytes_max) {
    if (error.code == Code::too_large) return {413, "BodyTooLarge", fmt::format("the body is longer than {} bytes", bytes_max)};
    if (error.code == Code::timeout) return {408, "TooSlow", "the body did not arrive in time"};
    return {400, "RequestMalformed", "the body is not framed as the head says"};
}

}  // namespace

bool ApiCall::if_match_holds(std::string_view etag) const noexcept {
    if (if_match.empty() || if_match == "*") return true;
    return std::string_view(if_match).substr(1, if_match.size() - 2) == etag;
}

Admin::Admin(AdminContext context, std::span<const AdminRoute> routes)
    : context_(std::move(context)), routes_(routes), gate_(std::make_unique<Gate>(context_.token, context_.socket_group)) {}

Admin::~Admin() = default;

std::string Admin::refuse(std::uint16_t status, std::string_view message) {
    return write_json(ApiReply(ApiError(status, code_of(status), std::string(message))).json) + "\n";
}

Task<After> Admin::handle(Exchange& exchange) {
    Question question;
    auto reply = co_await answer(exchange, question);
    if (question.client_left) co_return After::abort;
    ASSERT(reply);
    bool is_not_modified = (question.method == Method::get || question.method == Method::head) && reply->status == 200 &&
                           !reply->etag.empty() && !question.if_none_match.empty() &&
                           if_none_match_hits(std::array{std::string_view(question.if_none_match)}, "\"" + reply->etag + "\"");
    if (is_not_modified) reply->status = 304;
    co_return co_await send(exchange, *reply);
}

/// Nothing when the client left while it was to send its body.
Task<std::optional<ApiReply>> Admin::answer(Exchange& exchange, Question& question) {
    auto& head = exchange.head();
    auto found = find_route(routes_, head.method, head.path);
    // What there is and what not is for those who may read.
    Gate::Asked asked{.access = found.route ? found.route->access : Access::read};
    asked.host = head.host;
    asked.origin = head.origin;
    asked.fetch_site = head.sec_fetch_site;
    asked.authorization = head.authorization;
    question.method = head.method;
    question.path = head.path;
    question.query = head.query;
    question.if_match = joined(head.if_match);
    question.if_none_match = joined(head.if_none_match);
    question.content_type = head.content_type;
    question.has_body = has_body(head);
    auto peer = exchange.peer();
    exchange.release_head();
    auto refused = co_await gate_->refuse(asked, peer);
    if (refused) co_return refused;
    co_return co_await find_answer(exchange, question, std::move(peer));
}

Task<std::optional<ApiReply>> Admin::find_answer(Exchange& exchange, Question& question, Peer peer) {
    auto found = find_route(routes_, question.method, question.path);
    if (found.allow.empty())
        co_return ApiError(404, "NotFound", "there is no such page: try /metrics, /healthz, /readyz or /api/v1/status");
    if (!found.route) {
        auto reply = ApiReply(ApiError(405, "MethodNotAllowed", fmt::format("this path answers {}", found.allow)));
        co_return std::move(reply.with("Allow", std::move(found.allow)));
    }
    auto query = ApiQuery::parse(question.query, found.route->query);
    if (!query) co_return query.error();
    auto name = percent_decode(found.name);
    ASSERT(name);  // the head parser checked every escape
    question.method = found.route->method;
    auto who = peer.text();
    ApiCall call{context_, question.method, *std::move(name), *std::move(query), nullptr, {}, {}, std::move(peer)};
    auto reply = co_await call_handler(exchange, question, *found.route, call);
    if (reply && found.route->access == Access::change)
        log_info("admin: {} {} by {}: {}", name_of(question.method), question.path, who, reply->status);
    co_return reply;
}

Task<std::optional<ApiReply>> Admin::call_handler(Exchange& exchange, Question& question, const AdminRoute& route,
                                                  ApiCall& call) {
    bool changes = question.method != Method::get;
    if (!question.if_match.empty() && !is_single_tag(question.if_match))
        co_return ApiError(400, "PreconditionInvalid", "If-Match must be * or one entity tag in quotes");
    // "Unless it is still this one" protects from nothing that somebody changes; taken for a precondition, it would let a PUT replace what its caller never saw.
    if (changes && !question.if_none_match.empty() && question.if_none_match != "*")
        co_return ApiError(400, "PreconditionInvalid",
                           "If-None-Match must be *, to create; If-Match, with the etag that you saw, replaces or changes");
    call.if_match = question.if_match;
    call.if_none_match = question.if_none_match;
    if (route.body_bytes_max == 0) {
        if (question.has_body) co_return ApiError(400, "BodyUnexpected", "this takes no body");
        co_return co_await route.handler(call);
    }
    auto body = co_await read_document(exchange, question, route.body_bytes_max);
    if (!body) co_return question.client_left ? std::nullopt : std::optional(body.error());
    call.body = *std::move(body);
    co_return co_await route.handler(call);
}

Task<Result<nlohmann::json, ApiReply>> Admin::read_document(Exchange& exchange, Question& question, std::size_t bytes_max) {
    if (!question.has_body) co_return ApiReply(ApiError(400, "BodyMissing", "this needs a JSON object as its body"));
    if (!is_json(question.content_type, question.method))
        co_return ApiReply(
            ApiError(415, "NotJson", "the body must be JSON in UTF-8, and Content-Type must say application/json"));
    bool is_large = bytes_max > api_body_bytes_max;
    if (is_large && !co_await large_bodies_.acquire(Loop::current().time() + large_body_wait)) {
        ApiReply busy(ApiError(503, "Busy", "others are changing many things at once: try again in a few seconds"));
        co_return std::move(busy.with("Retry-After", "5"));
    }
    auto text = co_await exchange.read_body(bytes_max);
    auto parse = [&] { return parse_json_strictly(*text); };
    Result<nlohmann::json, std::string> parsed = std::string();
    if (text && text->size() > api_body_bytes_max) parsed = co_await run_blocking(Lane::resolver, parse);
    else if (text) parsed = parse();
    if (is_large) large_bodies_.release();
    if (!text) {
        question.client_left = text.error().code == Code::closed || text.error().code == Code::reset;
        co_return ApiReply(body_refused(text.error(), bytes_max));
    }
    if (!parsed) co_return ApiReply(ApiError(400, "BodyInvalid", fmt::format("the body {}", parsed.error())));
    if (!parsed->is_object()) co_return ApiReply(ApiError(400, "BodyInvalid", "the body must be a JSON object"));
    co_return *std::move(parsed);
}

Task<After> Admin::send(Exchange& exchange, ApiReply& reply) {
    bool is_json_reply = !reply.json.is_null();
    auto body = is_json_reply ? write_json(reply.json) + "\n" : std::move(reply.text);
    bool has_content = reply.status != 204 && reply.status != 304;
    std::array<char, head_bytes_max> space;
    HeadWriter writer(space);
    exchange.begin(writer, reply.status);
    if (has_content)
        writer.field("Content-Type", is_json_reply ? "application/json" : reply.media_type).field("Content-Length", body.size());
    if (!reply.etag.empty()) writer.field("ETag", "\"" + reply.etag + "\"");
    for (auto& [name, value] : reply.fields) {
        if (is_field_value(value)) writer.field(name, value);
    }
    auto head = writer.prepared("X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n").finish();
    ASSERT(head);
    auto bytes = exchange.is_head_request() || !has_content ? Bytes() : bytes_of(body);
    auto sent = co_await exchange.send_last(bytes_of(*head), bytes);
    co_return sent ? exchange.finished() : After::abort;
}

}  // namespace entrepot
