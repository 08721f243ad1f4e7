#pragma once
// What all handlers that change the operator's state have in common: preconditions, dry runs, and what becomes of a refusal.

#include "entrepot/admin/admin.h"

namespace entrepot {

constexpr std::string_view parameter_dry_run = "dryRun";

ApiError api_error(const Refusal& refusal);
/// If-Match and If-None-Match as a precondition. `*` in If-None-Match: must not exist; in If-Match: must exist.
Precondition precondition_of(const ApiCall& call);
/// {"action","kind","name","before","after"}.
JsonDocument step_document(const Step& step);

/// Makes one change, or says what it would do: 201 or 200 with what is there now and `notes`, 204 when it went.
Task<ApiReply> make_change(ApiCall& call, AnyChange change);

/// A page of a list: {"value":[...],"nextLink":...}. `name` is the last one's, `path` the list's.
struct Page {
    static constexpr std::size_t count_max = 1000, count_usual = 100;
    std::string after;
    std::size_t count = count_usual;
};
Result<Page, ApiError> page_of(const ApiQuery& query);
/// Null when nothing follows.
JsonDocument next_link(std::string_view path, const Page& page, bool more, std::string_view last_name);

ApiError no_such(std::string_view noun, std::string_view name);

}  // namespace entrepot
