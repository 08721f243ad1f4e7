#pragma once
// The query of one API request, decoded. Strict: a parameter that the route does not know, and one that comes twice, are refused, so that a misspelt `dryRun` is never a
// real run.

#include "entrepot/admin/api_reply.h"
#include "entrepot/base/result.h"

#include <optional>

namespace entrepot {

class ApiQuery {
  public:
    static constexpr std::size_t parameters_max = 32;

    /// `query` as in the request's target, `known` the names of the route, separated by blanks.
    static Result<ApiQuery, ApiError> parse(std::string_view query, std::string_view known);

    /// Null when absent. Valid as long as the query.
    const std::string* find(std::string_view name) const noexcept;
    /// "true" or "false"; false when absent.
    Result<bool, ApiError> flag(std::string_view name) const;
    Result<std::uint64_t, ApiError> number(std::string_view name, std::uint64_t least, std::uint64_t most,
                                           std::uint64_t otherwise) const;

  private:
    std::vector<std::pair<std::string, std::string>> parameters_;
};

}  // namespace entrepot
