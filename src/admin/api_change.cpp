#include "admin/api_change.h"

#include "entrepot/base/log.h"

namespace entrepot {
namespace {

std::uint16_t status_of(Refusal::Kind kind) noexcept {
    switch (kind) {
        case Refusal::Kind::invalid: return 400;
        case Refusal::Kind::not_found: return 404;
        case Refusal::Kind::conflict: return 409;
        case Refusal::Kind::read_only: return 409;
        case Refusal::Kind::changed: return 412;
        case Refusal::Kind::busy: return 503;
        case Refusal::Kind::storage: return 507;
    }
    return 500;
}

ApiReply say_what_would_change(const Outcome& outcome) {
    JsonDocument document;
    document["wouldChange"] = JsonDocument::array();
    for (auto& step : outcome.steps) document["wouldChange"].push_back(step_document(step));
    document["overlaps"] = outcome.notes;
    return ApiReply::document(document);
}

/// Nothing to say, as a rule.
ApiReply reply_gone(const Outcome& outcome) {
    if (outcome.notes.empty()) return ApiReply::nothing();
    JsonDocument document;
    document["notes"] = outcome.notes;
    return ApiReply::document(document);
}

}  // namespace

ApiError api_error(const Refusal& refusal) { return {status_of(refusal.kind), refusal.code, refusal.message}; }

Precondition precondition_of(const ApiCall& call) {
    Precondition when;
    when.must_not_exist = call.if_none_match == "*";
    when.must_exist = call.if_match == "*";
    // One strong tag with its quotes, says the router.
    if (!call.if_match.empty() && !when.must_exist) when.etag = call.if_match.substr(1, call.if_match.size() - 2);
    return when;
}

JsonDocument step_document(const Step& step) {
    JsonDocument document;
    document["action"] = name_of(step.action);
    document["kind"] = step.kind;
    document["name"] = step.name;
    document["before"] = step.before;
    document["after"] = step.after;
    return document;
}

Task<ApiReply> make_change(ApiCall& call, AnyChange change) {
    auto dry_run = call.query.flag(parameter_dry_run);
    if (!dry_run) co_return dry_run.error();
    Batch batch;
    batch.dry_run = *dry_run;
    batch.changes.push_back(std::move(change));
    auto made = co_await call.context.control->change(std::move(batch));
    if (!made) co_return api_error(made.error());
    if (*dry_run) co_return say_what_would_change(*made);
    auto& step = made->steps.front();
    if (step.after.is_null()) co_return reply_gone(*made);
    auto etag = step.after["etag"].get<std::string>();
    auto document = std::move(step.after);
    document["notes"] = made->notes;
    auto reply = ApiReply::document(document, step.action == Step::Action::create ? 201 : 200);
    co_return std::move(reply.with_etag(std::move(etag)));
}

Result<Page, ApiError> page_of(const ApiQuery& query) {
    Page page;
    auto count = query.number("limit", 1, Page::count_max, Page::count_usual);
    if (!count) return count.error();
    page.count = *count;
    if (auto* after = query.find("after")) page.after = *after;
    return page;
}

JsonDocument next_link(std::string_view path, const Page& page, bool more, std::string_view last_name) {
    // Names have nothing to escape in a query.
    return more ? JsonDocument(fmt::format("{}?after={}&limit={}", path, last_name, page.count)) : JsonDocument();
}

ApiError no_such(std::string_view noun, std::string_view name) {
    return {404, "NotFound", fmt::format("there is no {} \"{}\"", noun, escaped(name, 100))};
}

}  // namespace entrepot
