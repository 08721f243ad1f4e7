#include "entrepot/http/form.h"

#include "entrepot/http/url.h"

#include <cstring>

namespace entrepot {
namespace {

void wipe(std::string& text) noexcept { ::explicit_bzero(text.data(), text.size()); }

std::optional<std::string> decode(std::string_view text) {
    std::string with_blanks(text);
    for (auto& letter : with_blanks) {
        if (letter == '+') letter = ' ';
    }
    auto decoded = percent_decode(with_blanks);
    wipe(with_blanks);
    return decoded;
}

}  // namespace

Form::~Form() {
    for (auto& [name, value] : fields) wipe(value);
}

std::optional<Form> parse_form(std::string_view text) {
    Form form;
    while (!text.empty()) {
        auto end = text.find('&');
        auto field = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (field.empty()) continue;
        auto equals = field.find('=');
        auto name = decode(field.substr(0, equals));
        auto value = equals == std::string_view::npos ? std::string() : decode(field.substr(equals + 1));
        if (!name || !value || form.fields.size() == form_fields_max) return std::nullopt;
        form.fields.emplace_back(*std::move(name), *std::move(value));
    }
    return form;
}

}  // namespace entrepot
