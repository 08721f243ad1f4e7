#pragma once
// The server's REST interface as the commands need it: documents in and out, refusals as one line.

#include "cli/admin_client.h"
#include "cli/json.h"

#include <string>
#include <string_view>
#include <vector>

namespace entrepot::cli {

/// What a change depends on, besides its own sense.
struct Condition {
    enum class Kind { none, absent, unchanged } kind = Kind::none;
    std::string etag;  ///< with `unchanged`, without quotes

    static Condition absent() { return {Kind::absent, {}}; }
    static Condition unchanged(std::string etag) { return {Kind::unchanged, std::move(etag)}; }
};

struct Query {
    std::string text;  ///< "dryRun=true&prune=true"; empty: none

    /// Appends name=value, escaped; nothing when `value` is empty.
    Query& add(std::string_view name, std::string_view value);
    Query& flag(std::string_view name, bool set) { return add(name, set ? "true" : ""); }
};

/// A refusal that commands look at.
struct Refusal {
    Failure failure;
    std::uint16_t status = 0;  ///< 0: there was no answer
    std::string code;          ///< "RuleTargetTaken"
};

/// Says how to mean it where something of that name exists.
Refusal with_replace_hint(Refusal refusal);

template <typename T>
using Answered = Result<T, Refusal>;

class Api {
  public:
    static constexpr std::size_t page_entries = 1000;
    static constexpr std::size_t pages_max = 10'000;

    explicit Api(AdminClient& client) : client_(client) {}

    Answered<Json> get(std::string_view path, const Query& query = {});
    Answered<Json> put(std::string_view path, const Json& body, const Condition& condition, const Query& query = {});
    Answered<Json> patch(std::string_view path, const Json& body, const Condition& condition, const Query& query = {});
    Answered<Json> post(std::string_view path, const Json& body, const Condition& condition = {}, const Query& query = {});
    Answered<Json> post(std::string_view path);
    /// The document is null unless the server says what it would do.
    Answered<Json> remove(std::string_view path, const Condition& condition, const Query& query = {});

    /// Every entry of a collection, page by page.
    Answered<std::vector<Json>> list(std::string_view collection);

  private:
    Answered<Json> send(Method method, std::string_view path, const Query& query, std::string body, const Condition& condition);
    Answered<Json> send_document(Method method, std::string_view path, const Query& query, const Json& body,
                                 const Condition& condition);
    Refusal refusal_of(const AdminAnswer& answer, std::string_view path) const;
    Refusal strange(std::string_view path, std::string_view what) const;

    AdminClient& client_;
};

/// "/api/v1/cache-rules/hub": the name escaped.
std::string resource_path(std::string_view collection, std::string_view name);

}  // namespace entrepot::cli
