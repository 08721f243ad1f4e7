#pragma once
// The description of the admin listener's table that programs read: OpenAPI 3.1, written by hand in openapi.json. A test holds it against the table, and against what
// the server really answers.

#include <string_view>

namespace entrepot {

std::string_view openapi_document() noexcept;

}  // namespace entrepot
