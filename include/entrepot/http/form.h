#pragma once
// application/x-www-form-urlencoded: what browsers put into queries and forms, and OAuth2 into its requests.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot {

constexpr std::size_t form_fields_max = 64;

/// Names and values, decoded, in their order. Wiped when it goes: passwords come in forms.
struct Form {
    std::vector<std::pair<std::string, std::string>> fields;

    Form() = default;
    Form(Form&&) = default;
    Form& operator=(Form&&) = default;
    ~Form();
};

/// Nothing when an escape is malformed, or when there are more fields than form_fields_max. A field without '=' has an empty value; empty fields are left out.
std::optional<Form> parse_form(std::string_view text);

}  // namespace entrepot
