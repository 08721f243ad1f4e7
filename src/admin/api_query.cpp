#include "entrepot/admin/api_query.h"

#include "entrepot/http/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace entrepot {
namespace {

constexpr std::size_t quoted_bytes_max = 60;

bool is_one_of(std::string_view name, std::string_view blank_separated) {
    while (!blank_separated.empty()) {
        auto end = std::min(blank_separated.find(' '), blank_separated.size());
        if (blank_separated.substr(0, end) == name) return true;
        blank_separated.remove_prefix(std::min(end + 1, blank_separated.size()));
    }
    return false;
}

ApiError bad_query(std::string message) { return {400, "QueryInvalid", std::move(message)}; }

ApiError unknown(std::string_view name, std::string_view known) {
    if (known.empty())
        return bad_query(fmt::format("there is no parameter '{}': this takes none", name.substr(0, quoted_bytes_max)));
    return bad_query(fmt::format("there is no parameter '{}' here, only: {}", name.substr(0, quoted_bytes_max), known));
}

}  // namespace

Result<ApiQuery, ApiError> ApiQuery::parse(std::string_view query, std::string_view known) {
    ApiQuery result;
    while (!query.empty()) {
        auto end = std::min(query.find('&'), query.size());
        auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) continue;
        auto equals = std::min(pair.find('='), pair.size());
        auto name = percent_decode(pair.substr(0, equals));
        auto value = percent_decode(pair.substr(std::min(equals + 1, pair.size())));
        if (!name || !value) return bad_query("the query has a malformed escape");
        if (!is_one_of(*name, known)) return unknown(*name, known);
        if (result.find(*name)) return bad_query(fmt::format("the parameter '{}' is given twice", *name));
        if (result.parameters_.size() == parameters_max) return bad_query("the query has too many parameters");
        result.parameters_.emplace_back(*std::move(name), *std::move(value));
    }
    return result;
}

const std::string* ApiQuery::find(std::string_view name) const noexcept {
    for (auto& [known, value] : parameters_) {
        if (known == name) return &value;
    }
    return nullptr;
}

Result<bool, ApiError> ApiQuery::flag(std::string_view name) const {
    auto* value = find(name);
    if (!value || *value == "false") return false;
    if (*value == "true") return true;
    return bad_query(fmt::format("the parameter '{}' must be true or false", name));
}

Result<std::uint64_t, ApiError> ApiQuery::number(std::string_view name, std::uint64_t least, std::uint64_t most,
                                                 std::uint64_t otherwise) const {
    auto* value = find(name);
    if (!value) return otherwise;
    std::uint64_t number = 0;
    auto* last = value->data() + value->size();
    auto parsed = std::from_chars(value->data(), last, number);
    if (parsed.ec == std::errc() && parsed.ptr == last && number >= least && number <= most) return number;
    return bad_query(fmt::format("the parameter '{}' must be a number from {} to {}", name, least, most));
}

}  // namespace entrepot
